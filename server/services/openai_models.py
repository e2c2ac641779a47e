"""What a client of OpenAI's API may write as `model`: a project, one of its models, or a model on this machine."""

from collections.abc import Callable
from typing import Protocol

from anyio import to_thread

from config.loader import LoadedProject, ProjectStore
from config.project import ProjectConfig
from rag.errors import BadRequestError, ConfigError, InvalidInputError, NotFoundError
from server.schemas.model_cache import CachedModelEntry
from server.schemas.openai import ModelCard

SHOWN_NAMES = 20


class ModelList(Protocol):
    """The part of `server.services.model_cache.ModelCacheService` that is needed here."""

    async def list(self, provider: str) -> list[CachedModelEntry]: ...


class OpenAIModels:
    def __init__(self, projects: ProjectStore, cached: ModelList) -> None:
        self._projects = projects
        self._cached = cached

    async def cards(self) -> list[ModelCard]:
        """Each project, which stands for its default model, and each of its models; broken projects have none."""
        return await to_thread.run_sync(self._cards)

    async def card(self, name: str) -> CachedModelEntry | ModelCard:
        """Raises NotFoundError, which lists what is known."""
        cards = await self.cards()
        found = [*cards, *await self._cached.list("universal")]
        for card in found:
            if card.id == name:
                return card
        raise _unknown(name, [card.id for card in found])

    def chat_target(
        self, name: str | None, is_shown: Callable[[str, str], bool] = lambda *_: True
    ) -> tuple[ProjectConfig, str | None]:
        """`namespace/project[/model]` → the project, and the model that is asked of it.

        Args:
            is_shown: whether who asks may learn of a project, by its namespace and name.

        Raises:
            BadRequestError: no model is named.
            NotFoundError: no such project, or it has no such model; lists what is known.
            ConfigError: the project's configuration is broken.
        """
        if not name:
            raise BadRequestError("model is missing: send 'namespace/project' or 'namespace/project/model'")
        namespace, _, rest = name.partition("/")
        project_name, _, model = rest.partition("/")
        project = self.project(namespace, project_name)
        if project is None:
            known = [card.id for card in self._cards()]
            raise _unknown(name, [each for each in known if is_shown(*each.split("/")[:2])])
        if model:
            try:
                project.runtime.model(model)
            except BadRequestError as error:
                raise _unknown(name, _ids(project)) from error
        return project, model or None

    def project(self, namespace: str, name: str) -> ProjectConfig | None:
        """None where there is none, also for names that none can have."""
        try:
            return self._projects.load(namespace, name) if name else None
        except ConfigError:
            raise
        except (NotFoundError, InvalidInputError):
            return None

    def _cards(self) -> list[ModelCard]:
        store = self._projects
        return [
            card for namespace in store.namespaces() for loaded in store.list(namespace) for card in _cards_of(loaded)
        ]


def _cards_of(loaded: LoadedProject) -> list[ModelCard]:
    if loaded.config is None:
        return []
    named = loaded.config.model_copy(update={"namespace": loaded.namespace, "name": loaded.name})
    changed_at = int(loaded.last_modified.timestamp())
    return [ModelCard(id=name, created=changed_at, owned_by=loaded.namespace) for name in _ids(named)]


def _ids(project: ProjectConfig) -> list[str]:
    base = f"{project.namespace}/{project.name}"
    return [base, *(f"{base}/{model.name}" for model in project.runtime.models)]


def _unknown(name: str, known: list[str]) -> NotFoundError:
    shown = ", ".join(known[:SHOWN_NAMES]) or "none"
    more = f" and {len(known) - SHOWN_NAMES} more" if len(known) > SHOWN_NAMES else ""
    return NotFoundError(f"Model '{name}' not found. Available: {shown}{more}", code="ModelNotFound")
