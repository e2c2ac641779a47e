"""Shows how a file would be cut into chunks. The parsing is done in a process of its own, see `config.preview`."""

import base64
import binascii
import hashlib
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import fields
from pathlib import Path
from subprocess import DEVNULL, PIPE
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import orjson
import structlog
from anyio import CapacityLimiter, from_thread, to_thread
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from config.loader import ProjectStore
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from config.settings import Settings
from rag import errors
from rag.chunkers import chunkers
from rag.chunkers.distances import distances_by
from rag.embedders.base import Embedder
from rag.errors import BadRequestError, InvalidInputError, NotFoundError, RagError, UnreadableFileError, UpstreamError
from rag.parsers.base import ParseLimits
from server.schemas.preview import CutOptions, Preview, PreviewRequest
from state.file_names import safe_name
from state.files import DatasetFiles

log = structlog.get_logger(__name__)

TIMEOUT_S = 30.0
QUEUE_S = 15.0
"""How long a preview waits for others to end."""
PROCESSES = 2
MEMORY_SLACK_BYTES = 2 << 30
"""Address space beyond the memory of a parse process: libraries and thread stacks are mapped, hardly used."""


MAX_LINE_BYTES = 256 << 20
"""An answer holds at most some million characters of text, and each of up to 2,000 chunks with its metadata."""

EmbedderOf = Callable[[DatabaseConfig], Embedder]


class PreviewService:
    def __init__(self, projects: ProjectStore, settings: Settings, embedder_of: EmbedderOf) -> None:
        self._projects = projects
        self._settings = settings
        self._embedder_of = embedder_of
        self._processes = CapacityLimiter(PROCESSES)

    async def preview(self, namespace: str, project: str, database: str, wanted: PreviewRequest) -> Preview:
        """Parse and cut, and store nothing.

        Raises:
            BadRequestError: neither `file_hash` nor `file_content`; content that is no base64.
            NotFoundError: no such database, dataset, strategy or file.
            InvalidInputError: the file cannot be read, or took too long.
            UpstreamError: it is to be cut by meaning, and the embedder does not answer.
        """
        with ExitStack() as stack:
            request = await to_thread.run_sync(self._request, stack, namespace, project, database, wanted)
            config = self._projects.load(namespace, project).database(request["database"])
            answer = await self._answer(request, config)
        return Preview.model_validate(answer)

    def _request(
        self, stack: ExitStack, namespace: str, project: str, database: str, wanted: PreviewRequest
    ) -> dict[str, Any]:
        config = self._projects.load(namespace, project)
        chosen = config.database(database)
        if wanted.chunk_strategy is not None and wanted.chunk_strategy not in chunkers:
            known = ", ".join(chunkers.names)
            raise BadRequestError(f"chunk_strategy '{wanted.chunk_strategy[:100]}' is not known. Known: {known}")
        path, name, file_hash, dataset = self._file(stack, config, chosen.name, wanted)
        strategy = wanted.data_processing_strategy
        if strategy is None and dataset is not None:
            strategy = config.dataset(dataset).data_processing_strategy
        config.strategy(strategy)
        snapshot = config.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"prompts", "mcp"})
        variables = self._settings.project_variables
        return {
            "path": str(path),
            "filename": name,
            "file_hash": file_hash,
            "config": {**snapshot, "runtime": {}},
            "strategy": strategy,
            "database": chosen.name,
            "overrides": wanted.model_dump(include=set(CutOptions.model_fields), exclude_none=True),
            "limits": _limits(self._settings),
            "variables": None if variables is None else sorted(variables),
            "memory_bytes": self._settings.parse_memory_mb * 2**20 + MEMORY_SLACK_BYTES,
            "cpu_s": int(self._timeout_s) + 1,
        }

    @property
    def _timeout_s(self) -> float:
        return min(TIMEOUT_S, self._settings.parse_timeout_s)

    def _file(
        self, stack: ExitStack, config: ProjectConfig, database: str, wanted: PreviewRequest
    ) -> tuple[Path, str, str, str | None]:
        """(path, name, hash, dataset)."""
        if wanted.file_hash:
            return self._stored(config, database, wanted.dataset_id, wanted.file_hash)
        if wanted.file_content is None:
            raise BadRequestError("give file_hash (of a stored file) or file_content (base64) with filename")
        try:
            content = base64.b64decode(wanted.file_content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadRequestError(f"file_content is not base64: {error}") from error
        if wanted.dataset_id is not None:
            config.dataset(wanted.dataset_id)
        path = Path(stack.enter_context(TemporaryDirectory(prefix="paddock-preview-"))) / "file"
        path.write_bytes(content)
        name = safe_name(wanted.filename or "preview.txt")
        return path, name, hashlib.sha256(content).hexdigest(), wanted.dataset_id

    def _stored(
        self, config: ProjectConfig, database: str, dataset: str | None, file_hash: str
    ) -> tuple[Path, str, str, str | None]:
        names = _datasets(config, database) if dataset is None else [config.dataset(dataset).name]
        for name in names:
            paths = self._projects.paths(config.namespace, config.name).dataset(name)
            found = DatasetFiles(paths).find(file_hash)
            if found is not None:
                path = paths.raw(file_hash)
                if path.is_symlink() or not path.is_file():
                    raise NotFoundError(f"File {file_hash} has no stored bytes any more; upload it again")
                return path, found.original_file_name, file_hash, name
        raise NotFoundError(f"File {file_hash[:100]} not found")

    async def _answer(self, request: dict[str, Any], database: DatabaseConfig) -> dict[str, Any]:
        borrower = object()
        try:
            with anyio.fail_after(QUEUE_S):
                await self._processes.acquire_on_behalf_of(borrower)
        except TimeoutError as error:
            raise UpstreamError("too many previews are under way; try again") from error
        try:
            return await self._run(request, database)
        finally:
            self._processes.release_on_behalf_of(borrower)

    async def _run(self, request: dict[str, Any], database: DatabaseConfig) -> dict[str, Any]:
        command = [sys.executable, "-P", "-m", "config.preview"]
        try:
            with anyio.fail_after(self._timeout_s):
                async with await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL) as process:
                    try:
                        answer = await self._talk(process, request, database)
                    finally:  # also when the client leaves
                        with suppress(ProcessLookupError):
                            process.kill()
        except TimeoutError as error:
            message = f"'{request['filename']}' took longer than {self._timeout_s:g} s to parse"
            raise UnreadableFileError(message) from error
        if answer is None:
            log.warning("preview.failed", returncode=process.returncode)
            raise UnreadableFileError(
                f"the parser of '{request['filename']}' ended before it was done: the file is damaged, or needs more "
                f"memory than {self._settings.parse_memory_mb} MB (LF_PARSE_MEMORY_MB)"
            )
        if "error" in answer:
            raise _error(answer["error"], answer["message"])
        return answer

    async def _talk(self, process: Process, request: dict[str, Any], database: DatabaseConfig) -> dict[str, Any] | None:
        """The answer; None when the process ends without one. Its questions on the way are answered."""
        assert process.stdin is not None
        assert process.stdout is not None
        lines = BufferedByteReceiveStream(process.stdout)
        try:
            await process.stdin.send(orjson.dumps(request) + b"\n")
            while True:
                said: dict[str, Any] = orjson.loads(await lines.receive_until(b"\n", MAX_LINE_BYTES))
                if "texts" not in said:
                    return said
                found = await to_thread.run_sync(self._distances, database, said["texts"], said["lag"])
                await process.stdin.send(orjson.dumps(found) + b"\n")
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.DelimiterNotFound):
            return None

    def _distances(self, database: DatabaseConfig, texts: list[str], lag: int) -> list[float]:
        embedder = self._embedder_of(database)
        distances = distances_by(embedder.embed_documents, lambda _done: from_thread.check_cancelled())
        numbers: list[float] = distances(texts, lag).tolist()
        return numbers


def _error(name: str, message: str) -> RagError:
    """What was raised in the other process."""
    kind = getattr(errors, name, InvalidInputError)
    error: RagError = kind(message)
    return error


def _limits(settings: Settings) -> dict[str, Any]:
    return {each.name: getattr(settings, each.name) for each in fields(ParseLimits)}


def _datasets(config: ProjectConfig, database: str) -> Sequence[str]:
    """Those of the database first."""
    return [entry.name for entry in sorted(config.datasets, key=lambda entry: entry.database != database)]
