"""A loopback server that answers like Ollama and like OpenAI, with the vectors of HashEmbedder."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rag.embedders.hash import HashEmbedder

DIMENSION = 64


def honest_vectors(texts: list[str]) -> list[list[float]]:
    embedder = HashEmbedder(HashEmbedder.Options(dimension=DIMENSION))
    return [[3.0 * value for value in row] for row in embedder.embed_documents(texts).tolist()]


@dataclass
class EmbeddingServer:
    """`vectors` and `status` may be replaced by a test; `models` is what Ollama has, and pulling adds to it."""

    url: str = ""
    vectors: Callable[[list[str]], list[list[float]]] = honest_vectors
    status: int = 200
    models: set[str] = field(default_factory=lambda: {"nomic-embed-text"})
    paths: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.paths.append(path)
        self.bodies.append(body)
        if self.status != 200:
            return self.status, {"error": "out of order"}
        if path == "/api/pull":
            self.models.add(body["model"])
            return 200, {"status": "success"}
        if path == "/api/embed":
            if body["model"] not in self.models:
                return 404, {"error": "model not found"}
            return 200, {"model": body["model"], "embeddings": self.vectors(body["input"])}
        if path == "/v1/embeddings":
            rows = list(enumerate(self.vectors(body["input"])))
            # Out of order on purpose: `index` says what belongs where.
            data = [{"object": "embedding", "index": index, "embedding": row} for index, row in reversed(rows)]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            return 200, {"object": "list", "data": data, "model": body["model"], "usage": usage}
        return 404, {"error": "no such path"}


@contextmanager
def running_server() -> Iterator[EmbeddingServer]:
    server = EmbeddingServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            status, answer = server.answer(self.path, body)
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *args: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
