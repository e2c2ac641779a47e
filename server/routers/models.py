"""The models that a project may answer with."""

from typing import Any

from fastapi import APIRouter

from config.project import ProjectConfig
from config.runtime import ModelConfig
from config.secrets import redact
from config.settings import Settings
from server.deps import ProjectConfigDep, SettingsDep
from server.schemas.chat import ModelEntry, ModelList
from server.schemas.errors import ERROR_RESPONSES
from server.schemas.openai import ModelCard

router = APIRouter(
    prefix="/v1/projects/{namespace}/{project}/models", tags=["models", "mcp"], responses=ERROR_RESPONSES
)


@router.get("", operation_id="models_list", response_model_exclude_none=True)
def list_models(project: ProjectConfigDep, settings: SettingsDep) -> ModelList:
    default = project.model() if project.runtime.models else None
    models = [_entry(model, settings, is_default=model is default) for model in project.runtime.models]
    return ModelList(total=len(models), models=models, data=_cards(project))


def _entry(model: ModelConfig, settings: Settings, *, is_default: bool) -> ModelEntry:
    shown: dict[str, Any] = redact(model.model_dump(mode="json", exclude_unset=True, exclude_none=True))
    defaults = {"base_url": _default_base_url(model.provider, settings), "model": _default_model(model, settings)}
    missing = {key: value for key, value in defaults.items() if value and not shown.get(key)}
    return ModelEntry.model_validate({**shown, **missing, "default": is_default})


def _cards(project: ProjectConfig) -> list[ModelCard]:
    """OpenAI's list names what a client may send as `model`: the configured names."""
    return [ModelCard(id=model.name, created=0, owned_by=model.provider) for model in project.runtime.models]


def _default_model(model: ModelConfig, settings: Settings) -> str:
    return model.model or (settings.ollama_model if model.provider == "ollama" else model.provider)


def _default_base_url(provider: str, settings: Settings) -> str | None:
    return {
        "ollama": f"{settings.ollama_host}/v1",
        "openai": "https://api.openai.com/v1",
        "lemonade": settings.lemonade_url,
        "universal": settings.universal_url,
    }.get(provider)
