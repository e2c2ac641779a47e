"""What uvicorn runs: `uvicorn server.main:app`. The app is built when it is asked for, not when this is imported."""

from fastapi import FastAPI

from config.logging import configure_logging
from config.settings import Settings
from server.app import create_app


def build() -> FastAPI:
    settings = Settings()
    configure_logging(level=settings.log_level, as_json=settings.log_json)
    return create_app(settings)


def __getattr__(name: str) -> FastAPI:
    if name == "app":
        return build()
    raise AttributeError(f"module 'server.main' has no attribute '{name}'")
