"""The tools of a turn: searching the session's indexes, and looking into their files."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from anyio import to_thread
from pydantic import BaseModel, Field, ValidationError

from rag.errors import NotFoundError, RagError, UpstreamError
from rag.prompts import escape_source
from rag.types import Hit
from server.llamacloud.engine import CloudEngine
from server.llamacloud.services.file_tools import FileTools, GrepWanted
from server.llamacloud.services.searching import Passage, Search, SearchWanted
from state.cloud.members import Collection

MAX_FILES = 100
READ_CHARS = 4_000

Place = tuple[Any, ...]
"""Of a passage: index, file, first character, text."""


class Retrieve(BaseModel):
    """Find passages that answer a question, by meaning and by words. Each has a number to cite it by."""

    query: str = Field(description="What to look for, in words of its own: a question or keywords.")
    top_k: Annotated[int, Field(ge=1, le=20, description="Most passages.")] = 8


class SearchFiles(BaseModel):
    """List the files by name."""

    name_contains: str | None = Field(None, description="A part of the name, in any case; absent: every file.")


class Grep(BaseModel):
    """Find a regular expression (RE2) in the text of one file."""

    file_id: str = Field(description="As retrieve and search_files give it.")
    pattern: str
    context_chars: Annotated[int, Field(ge=0, le=1_000, description="Characters shown around each match.")] = 100
    limit: Annotated[int, Field(ge=1, le=50, description="Most matches.")] = 20


class ReadFile(BaseModel):
    """Read a part of the text of one file."""

    file_id: str = Field(description="As retrieve and search_files give it.")
    offset: Annotated[int, Field(ge=0, description="First character.")] = 0
    max_length: Annotated[int, Field(ge=1, le=20_000, description="Most characters.")] = READ_CHARS


TOOLS: Mapping[str, type[BaseModel]] = {
    "retrieve": Retrieve,
    "search_files": SearchFiles,
    "grep": Grep,
    "read_file": ReadFile,
}


def offers() -> tuple[Mapping[str, Any], ...]:
    """In OpenAI's shape."""
    return tuple(
        {"type": "function", "function": {
            "name": name, "description": model.__doc__, "parameters": model.model_json_schema()}}
        for name, model in TOOLS.items()
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """`result` is shown and kept; `told` is what the model reads of it."""

    result: Any
    told: str


class IndexTools:
    """Numbers passages over a whole session, so that an answer can cite each of them.

    Args:
        known: passages of earlier turns; the same one keeps its number.
        requires_all: an index that cannot be searched is an error, not left out.
    """

    def __init__(
        self,
        cloud: CloudEngine,
        indexes: Sequence[Collection],
        *,
        requires_all: bool,
        known: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self.skipped: dict[str, str] = {}
        self.hits: list[Hit] = []
        self._indexes = indexes
        self._requires_all = requires_all
        self._search = Search(cloud)
        self._files = FileTools(cloud)
        self._numbers: dict[Place, int] = {_place(each): each["number"] for each in known}
        self._next = max(self._numbers.values(), default=0) + 1
        self._work: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "retrieve": self._retrieve,
            "search_files": self._search_files,
            "grep": self._grep,
            "read_file": self._read,
        }

    async def run(self, name: str, arguments: Mapping[str, Any] | None) -> Outcome:
        """What a tool gives; a call that cannot be done is a result as well, which says why.

        Raises:
            UpstreamError: no index can be searched, or not all where all are required.
        """
        model = TOOLS.get(name)
        if model is None:
            return _failed(f"there is no tool '{name[:100]}'; there are {', '.join(TOOLS)}")
        if arguments is None:
            return _failed("the arguments are not a JSON object")
        try:
            wanted = model.model_validate(arguments)
            result = await self._work[name](wanted)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
            return _failed("; ".join(problems)[:500])
        except UpstreamError:
            raise
        except RagError as error:
            return _failed(error.message)
        return Outcome(result, told(result))

    def number_anew(self) -> None:
        """From 1, for a prompt that counts its sources by itself."""
        self._numbers, self._next = {}, 1

    async def _retrieve(self, wanted: Retrieve) -> Any:
        passages: list[tuple[Collection, Passage]] = []
        failure: UpstreamError | None = None
        for index in self._indexes:
            try:
                found = await self._search.search(index, SearchWanted(wanted.query, wanted.top_k))
            except UpstreamError as error:
                if self._requires_all:
                    raise
                self.skipped[index.id] = error.message
                failure = error
            else:
                passages += [(index, each) for each in found]
        if failure is not None and len(self.skipped) == len(self._indexes):
            raise failure
        if len(self._indexes) > 1:
            passages.sort(key=lambda each: -each[1].score)
        return {"passages": [self._shown(index, each) for index, each in passages[: wanted.top_k]]}

    def _shown(self, index: Collection, found: Passage) -> dict[str, Any]:
        passage = {
            "content": found.text,
            "file_id": found.member.id,
            "file_name": found.member.name,
            "index_id": index.id,
            "page_range_start": found.page_start,
            "page_range_end": found.page_end,
            "chunk_start_char": found.start,
            "chunk_end_char": found.end,
            "score": round(found.score, 4),
        }
        place = _place(passage)
        if place not in self._numbers:
            self.hits.append(found.hit)
            self._numbers[place] = self._next
            self._next += 1
        return {"number": self._numbers[place], **passage}

    async def _search_files(self, wanted: SearchFiles) -> Any:
        files = []
        for index in self._indexes:
            found = await to_thread.run_sync(self._files.matching, index, None, wanted.name_contains)
            files += [{"file_id": each.id, "file_name": each.name, "index_id": index.id} for each in found]
        return {"files": files[:MAX_FILES], "total": len(files)}

    async def _grep(self, wanted: Grep) -> Any:
        index = await to_thread.run_sync(self._index_of, wanted.file_id)
        asked = GrepWanted(wanted.file_id, wanted.pattern, wanted.context_chars, wanted.limit)
        page = await self._files.grep(index, asked)
        matches = [{"content": each.content, "start_char": each.start, "end_char": each.end} for each in page.items]
        return {"matches": matches, "has_more": page.next_page_token is not None}

    async def _read(self, wanted: ReadFile) -> Any:
        def work() -> Any:
            index = self._index_of(wanted.file_id)
            content = self._files.read(index, wanted.file_id, wanted.offset, wanted.max_length + 1)
            return {"content": content[: wanted.max_length], "has_more": len(content) > wanted.max_length}

        return await to_thread.run_sync(work)

    def _index_of(self, file_id: str) -> Collection:
        for index in self._indexes:
            if self._files.has(index, file_id):
                return index
        raise NotFoundError(f"no file of these indexes has the id '{file_id[:100]}'; search_files lists them")


def _failed(reason: str) -> Outcome:
    result = {"error": reason}
    return Outcome(result, told(result))


def _place(passage: Mapping[str, Any]) -> Place:
    return tuple(passage[key] for key in ("index_id", "file_id", "chunk_start_char", "content"))


def told(result: Any) -> str:
    """What a model reads of a result: JSON, without what could pose as a source's number of ours or end a quotation."""
    if isinstance(result, Mapping) and result.keys() == {"error"}:
        return f"Error: {result['error']}"
    return json.dumps(_escaped(result), ensure_ascii=False)


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return escape_source(value)
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list) else value


def read_arguments(text: str) -> dict[str, Any] | None:
    """The arguments of a call; None when they are no JSON object."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
