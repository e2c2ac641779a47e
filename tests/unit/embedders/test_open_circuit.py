"""Which servers a process has given up, seen through everything that is around an embedder."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from config.assemble import Assembly
from config.rag_section import DatabaseConfig
from config.settings import Settings
from rag.embedders.hash import HashEmbedder
from rag.embedders.resilience import open_circuit
from rag.errors import UpstreamError

BREAKER = {"failure_threshold": 1, "reset_timeout": 60}


def database(base_url: str, kind: str) -> DatabaseConfig:
    config = {"model": "m", "base_url": base_url, "api_key": "k", "circuit_breaker": BREAKER, "dimension": 3}
    strategy = {"name": "far", "type": kind, "config": config}
    return DatabaseConfig.model_validate({"name": "db", "type": "MemoryStore", "embedding_strategies": [strategy]})


class Failing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.mark.parametrize("kind", ["OpenAIEmbedder", "OllamaEmbedder"])
def test_server_that_failed_repeatedly_is_named(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = HTTPServer(("127.0.0.1", 0), Failing)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setattr("rag.embedders.resilience._FIRST_WAIT_S", 0.0)
    url = f"http://127.0.0.1:{server.server_port}"
    assembly = Assembly(Settings(_env_file=None, data_dir=tmp_path), lambda *_: set)
    embedder = assembly.embedder(database(url, kind))
    assert assembly.open_circuits() == []
    with pytest.raises(UpstreamError):
        embedder.embed_query("text")
    (name,) = assembly.open_circuits()
    assert url in name
    server.shutdown()
    server.server_close()


def test_embedder_without_a_server_has_none() -> None:
    assert open_circuit(HashEmbedder(HashEmbedder.Options())) is None
    assert open_circuit(None) is None
