"""What an entry of `runtime.models` means where it says nothing: one table for calls and for listings."""

from config.runtime import ModelConfig
from config.settings import Settings

OPENAI_URL = "https://api.openai.com/v1"


def provider_defaults(model: ModelConfig, settings: Settings) -> dict[str, str]:
    """Address and model id that the entry leaves out; `extractive` has no address."""
    defaults = {
        "ollama": {"base_url": f"{settings.ollama_host}/v1", "model": settings.ollama_model},
        "openai": {"base_url": OPENAI_URL},
        "universal": {"base_url": settings.universal_url},
        "lemonade": {"base_url": settings.lemonade_url},
        "extractive": {"model": "extractive"},
    }
    given = model.model_dump(exclude_none=True, include={"base_url", "model"})
    return {key: value for key, value in defaults.get(model.provider, {}).items() if not given.get(key)}
