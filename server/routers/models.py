"""The models that a project may answer with."""

from typing import Any

from config.project import ProjectConfig
from config.providers import provider_defaults
from config.runtime import ModelConfig
from config.secrets import redact
from config.settings import Settings
from rag.errors import BadRequestError
from server.deps import ProjectConfigDep, SettingsDep
from server.routing import Router
from server.schemas.chat import ModelEntry, ModelList
from server.schemas.errors import ERROR_RESPONSES
from server.schemas.openai import ModelCard

router = Router(prefix="/v1/projects/{namespace}/{project}/models", tags=["models", "mcp"], responses=ERROR_RESPONSES)


@router.get("", operation_id="models_list", response_model_exclude_none=True)
def list_models(project: ProjectConfigDep, settings: SettingsDep) -> ModelList:
    """List the models that a project may answer with, and which is the default.

    Keys are shown redacted. `data` is the same list in OpenAI's shape.
    """
    default = _default(project)
    models = [_entry(model, settings, is_default=model is default) for model in project.runtime.models]
    return ModelList(total=len(models), models=models, data=_cards(project))


def _default(project: ProjectConfig) -> ModelConfig | None:
    """None where nothing is configured, or `default_model` names a model that is not there."""
    try:
        return project.model()
    except BadRequestError:
        return None


def _entry(model: ModelConfig, settings: Settings, *, is_default: bool) -> ModelEntry:
    shown: dict[str, Any] = redact(model.model_dump(mode="json", exclude_unset=True, exclude_none=True))
    missing = {key: value for key, value in provider_defaults(model, settings).items() if not shown.get(key)}
    return ModelEntry.model_validate({**shown, **missing, "default": is_default})


def _cards(project: ProjectConfig) -> list[ModelCard]:
    """OpenAI's list names what a client may send as `model`: the configured names."""
    return [ModelCard(id=model.name, created=0, owned_by=model.provider) for model in project.runtime.models]
