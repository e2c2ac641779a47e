"""What these tests share with `tests/api/test_chat.py`: the app, its project and the fake Ollama behind it."""

from tests.api.test_chat import app, client, live_url, ollama, write_project

__all__ = ["app", "client", "live_url", "ollama", "write_project"]
