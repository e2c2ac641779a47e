"""Chat sessions: making, reading, naming and deleting them, and beginning a turn in one."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, cast

from anyio import to_thread

from rag.errors import BadRequestError, InvalidInputError, NotFoundError, OverloadedError, RagError
from rag.llms.base import LLMRequest, Sampling
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.chat import FullSession, JobMetadata, SessionPage, SessionSummary, StreamRequest
from server.llamacloud.scope import Scope
from server.llamacloud.services.chat.history import History, numbered
from server.llamacloud.services.chat.tools import IndexTools
from server.llamacloud.services.chat.turn import ChatTurn, Ended
from server.llamacloud.times import stamp
from server.schemas.chat import ChatRequest
from server.services.chat_sessions import SessionTurns
from server.services.chat_turn import Turn, plan_turn
from state.cloud.chats import KIND, ChatRecords
from state.cloud.collections import collection_of
from state.cloud.ids import NAMESPACE, new_id
from state.cloud.members import Collection
from state.cloud.objects import CloudObject, Wanted
from state.sessions import SessionKey, SessionStore

MAX_INDEXES = 10
TITLE_CHARS = 60
TITLE_TIMEOUT_S = 20.0
TITLE_INSTRUCTION = (
    "Give a conversation that begins with the user's message a title of at most eight words, in the language of the "
    "message. Answer with the title alone, without quotation marks."
)


class ChatSessions:
    def __init__(self, cloud: CloudEngine, scope: Scope) -> None:
        self._cloud = cloud
        self._scope = scope
        self._records = ChatRecords(cloud.engine.database, cloud.objects)

    def page(self, token: str | None, size: int | None) -> SessionPage:
        """Raises InvalidInputError for a token of another query."""
        page = self._cloud.objects.page(KIND, Wanted(project_id=self._scope.project_id), token, size)
        items = [_summary(each) for each in page.items]
        return SessionPage(items=items, next_page_token=page.next_page_token, total_size=page.total_size)

    def create(self, index_ids: Sequence[str] | None) -> SessionSummary:
        """Raises NotFoundError for an index that does not exist, InvalidInputError for too many."""
        ids = _distinct(index_ids or ())
        for each in ids:
            self._index(each)
        body = {"index_ids": ids or None, "is_locked": False, "title": None, "job_metadata": None}
        self._cloud.projects.ensure(self._scope.project_id)
        return _summary(self._cloud.objects.insert(KIND, new_id(KIND), project_id=self._scope.project_id, body=body))

    def get(self, session_id: str) -> FullSession:
        found = self._session(session_id)
        events = self._records.events(found.id)
        return FullSession.model_validate({**_summary(found).model_dump(), "events": events})

    def summary(self, session_id: str) -> SessionSummary:
        return _summary(self._session(session_id))

    def delete(self, session_id: str) -> None:
        """A turn that is under way goes on for its client, and is not kept."""
        self._records.delete(self._session(session_id).id)

    async def set_title(self, session_id: str, first_message: str) -> SessionSummary:
        """A title by the project's model where it can write, else the beginning of the message."""
        session = await to_thread.run_sync(self._session, session_id)
        title = await self._title(session, first_message) or beginning(first_message)
        changed = await to_thread.run_sync(lambda: self._cloud.objects.edit_body(KIND, session.id, title=title))
        return _summary(changed)

    async def stream(self, session_id: str, wanted: StreamRequest) -> ChatTurn:
        """Begin a turn; whatever can be said before its first event is raised here.

        Raises:
            NotFoundError: the session, or an index.
            InvalidInputError: no index, or too many.
            BadRequestError: other indexes than the session is bound to, another turn is under way, or the project's
                model cannot be asked.
        """
        session = await to_thread.run_sync(self._session, session_id)
        async with AsyncExitStack() as stack:
            await self._lease(session, stack)
            # Anew: the turn before may have ended between the two.
            session = await to_thread.run_sync(self._session, session_id)
            ids = _chosen(session, wanted.index_ids)
            indexes, missing = await to_thread.run_sync(self._indexes, session, ids, wanted.require_all_indexes)
            turn = await to_thread.run_sync(self._planned, session, wanted.prompt)
            events = await to_thread.run_sync(self._records.events, session.id)
            history = await to_thread.run_sync(History, events)
            tools = IndexTools(
                self._cloud,
                [each for each, _ in indexes],
                requires_all=bool(wanted.require_all_indexes),
                known=numbered(events),
            )
            tools.skipped |= missing
            changes = {
                "index_ids": ids if session.body["index_ids"] else None,
                "is_locked": session.body["index_ids"] is not None,
                "title": session.body["title"] or beginning(wanted.prompt),
            }
            exports = [str(body["export_config_id"]) for _, body in indexes if body.get("export_config_id")]

            async def keep(ended: Ended) -> None:
                metadata = {**ended.usage, "error": ended.error, "is_error": ended.error is not None}
                run = {**changes, "job_metadata": {**metadata, "export_config_ids": exports}}
                await to_thread.run_sync(self._records.keep_turn, session.id, ended.events, run)

            held = stack.pop_all()
            return ChatTurn(turn, wanted.prompt, history, tools, keep=keep, release=held.aclose)
        raise AssertionError("not reached")

    async def _lease(self, session: CloudObject, stack: AsyncExitStack) -> None:
        """One turn at a time, over all processes."""
        turns = SessionTurns(SessionStore(self._cloud.engine.database), wait_s=0.0)
        try:
            await stack.enter_async_context(turns.open(SessionKey(NAMESPACE, session.project_id, session.id), ()))
        except OverloadedError as error:
            raise BadRequestError(
                f"session '{session.id}' is answering another message; wait for its end, or use another session"
            ) from error

    def _session(self, session_id: str) -> CloudObject:
        return self._cloud.objects.get(KIND, session_id, self._scope.visible)

    def _index(self, index_id: str) -> CloudObject:
        return self._cloud.objects.get("index", index_id, self._scope.visible)

    def _indexes(
        self, session: CloudObject, ids: Sequence[str], requires_all: bool | None
    ) -> tuple[list[tuple[Collection, Mapping[str, Any]]], dict[str, str]]:
        """The indexes with their bodies; those of a bound session that were deleted since are left out."""
        found: list[tuple[Collection, Mapping[str, Any]]] = []
        missing: dict[str, str] = {}
        for each in ids:
            try:
                index = self._index(each)
            except NotFoundError as error:
                if requires_all or not session.body["is_locked"]:
                    raise
                missing[each] = error.message
            else:
                found.append((collection_of(index), index.body))
        if not found:
            raise NotFoundError(f"no index of session '{session.id}' exists any more: {', '.join(ids)}")
        return found, missing

    def _planned(self, session: CloudObject, prompt: str) -> Turn:
        config = self._cloud.projects.load(session.project_id)
        request = ChatRequest.model_validate({"messages": [{"role": "user", "content": prompt}]})
        return plan_turn(config, request, self._cloud.engine.assembly.llm)

    async def _title(self, session: CloudObject, message: str) -> str | None:
        """None when the model cannot write, or does not answer in time."""
        messages = ({"role": "system", "content": TITLE_INSTRUCTION}, {"role": "user", "content": message[:2_000]})
        try:
            turn = await to_thread.run_sync(self._planned, session, message)
            if not turn.llm.calls_tools:
                return None
            request = LLMRequest(messages, Sampling(temperature=0.0, max_tokens=60))
            async with asyncio.timeout(TITLE_TIMEOUT_S):
                async with aclosing(cast("Any", turn.llm.stream(request))) as deltas:
                    pieces = [delta.content async for delta in deltas]
        except (RagError, TimeoutError):
            return None
        return beginning("".join(pieces).strip().strip('"“”').strip()) or None


def _chosen(session: CloudObject, wanted: Sequence[str]) -> list[str]:
    """The indexes of a turn.

    Raises:
        BadRequestError: the session is locked to others.
        InvalidInputError: neither the message nor the session names one, or there are too many.
    """
    bound, ids = session.body["index_ids"], _distinct(wanted)
    if not ids and not bound:
        raise InvalidInputError("index_ids: name at least one index, or create the session with index_ids")
    if session.body["is_locked"] and ids and set(ids) != set(bound):
        raise BadRequestError(
            f"session '{session.id}' is bound to {', '.join(bound)} since its first message; leave index_ids empty, "
            "or create another session"
        )
    return ids or list(bound)


def _distinct(ids: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(ids))
    if len(found) > MAX_INDEXES:
        raise InvalidInputError(f"index_ids: {len(found)} indexes; at most {MAX_INDEXES} can be searched in a session")
    return found


def beginning(message: str) -> str:
    """The first words on one line, with an ellipsis where there are more."""
    text = " ".join(message.split())
    if len(text) <= TITLE_CHARS:
        return text
    head = text[: TITLE_CHARS + 1].rpartition(" ")[0] or text[:TITLE_CHARS]
    return f"{head.rstrip(' ,.;:')}…"


def _summary(session: CloudObject) -> SessionSummary:
    body = session.body
    metadata = body["job_metadata"]
    return SessionSummary(
        session_id=session.id,
        last_updated_at=stamp(session.updated_at),
        generated_title=body["title"],
        index_ids=body["index_ids"],
        job_metadata=None if metadata is None else JobMetadata.model_validate(metadata),
    )
