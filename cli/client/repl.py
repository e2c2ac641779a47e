"""The interactive chat: messages are answered, lines that begin with a slash steer."""

import dataclasses
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.client.answer import show_rest, stream_answer
from cli.client.api import Api, segment
from cli.client.caller import Caller
from cli.client.chat_request import ChatOptions, chat_body, chat_path
from cli.client.chat_state import ChatState, state_dir
from cli.client.line_editor import LineEditor
from cli.client.output import counted
from cli.client.project_file import ProjectName
from cli.errors import ApiError, CliError

ASSISTANT = ProjectName("llamafarm", "project_seed")
SHOWN_MESSAGES = 6
SHOWN_CHARS = 300
HISTORY_TIMEOUT_S = 2.0

HELP = """\
/help                 this list
/mode [project|dev]   your project, or the assistant that knows Paddock
/model [name]         list the models, or choose one
/database [name]      list the databases, or choose one
/strategy [name]      list the retrieval strategies, or choose one
/rag [on|off]         search the files, or answer without them
/history              what was said in this session
/new, /clear          forget the session and begin anew
/launch designer      open the server's web page
/exit, /quit          leave; so do Ctrl-D and Ctrl-C at the prompt
Ctrl-C stops an answer. A line that ends with \\ goes on in the next."""


class Repl:
    def __init__(
        self,
        lf: Caller,
        api: Api,
        project: ProjectName,
        options: ChatOptions,
        *,
        is_new: bool = False,
        session: str | None = None,
    ) -> None:
        self._lf = lf
        self._out = lf.out
        self._api = api
        self._own = project
        self._project = project
        self._options = options
        self._is_over = False
        self._failed_count = 0
        self._state = self._state_of(project)
        if is_new:
            self._state.begin_anew()
        if session is not None:
            self._state.session_id, self._state.is_new = session, False
        self._commands: dict[str, Callable[[str], None]] = {
            "/help": lambda _: self._out.text(HELP),
            "/menu": lambda _: self._out.text(HELP),
            "/mode": self._mode,
            "/model": self._model,
            "/database": self._database,
            "/strategy": self._strategy,
            "/rag": self._rag,
            "/history": lambda _: self._show_history(None),
            "/new": self._clear,
            "/clear": self._clear,
            "/launch": self._launch,
            "/exit": self._exit,
            "/quit": self._exit,
        }

    def run(self) -> None:
        """Until the input ends.

        Raises:
            CliError: the project does not answer; or, where no terminal is, that messages were not answered.
        """
        self._greet()
        editor = LineEditor(state_dir() / "history", sorted(self._commands))
        try:
            while not self._is_over:
                self._turn(editor)
        except EOFError:
            self._out.note("")
        finally:
            editor.close()
        if self._failed_count and not editor.is_terminal:
            raise CliError(f"{counted(self._failed_count, 'line')} not answered")

    def _greet(self) -> None:
        try:
            self._api.get(self._own.path)
        except ApiError as error:
            if error.status != 404:
                raise
            raise ApiError(
                f"{error}: `lf config push --create` makes it from this folder's llamafarm.yaml", 404, error.body
            ) from error
        self._out.note(f"{self._own} on {self._api.url}; /help lists the commands")
        if not self._state.is_new:
            self._show_history(SHOWN_MESSAGES)

    def _turn(self, editor: LineEditor) -> None:
        line = editor.read(f"{self._project.name}> ")
        try:
            if line.startswith("/"):
                self._command(line)
            elif line:
                self._say(line)
        except CliError as error:
            self._failed_count += 1
            self._out.failure(error)

    def _command(self, line: str) -> None:
        name, _, argument = line.partition(" ")
        handle = self._commands.get(name)
        if handle is None:
            raise CliError(f"no command {name}: /help lists them")
        handle(argument.strip())

    def _say(self, text: str) -> None:
        body = chat_body([{"role": "user", "content": text}], self._options, stream=True)
        headers = {"X-Session-ID": self._state.session_id}
        if self._project == ASSISTANT:
            headers["X-Active-Project"] = str(self._own)
        try:
            answer = stream_answer(self._out, self._api, chat_path(self._project), body, headers)
        except KeyboardInterrupt:
            self._state.keep(None)
            self._out.text()
            self._out.note("(stopped)")
            return
        self._state.keep(answer.session_id)
        show_rest(self._out, answer)

    def _mode(self, argument: str) -> None:
        if argument not in ("", "project", "dev"):
            raise CliError(f"/mode {argument}: there are project and dev")
        if argument:
            self._project = ASSISTANT if argument == "dev" else self._own
            self._state = self._state_of(self._project)
        self._out.note(f"talking to {self._project}")

    def _model(self, argument: str) -> None:
        found = self._api.get(f"{self._project.path}/models").get("models") or []
        if argument:
            _check("model", argument, found)
            self._choose(model=argument)
            return
        default = next((each["name"] for each in found if each.get("default")), None)
        self._list([each["name"] for each in found], self._options.model or default)

    def _database(self, argument: str) -> None:
        found = self._databases()
        if argument:
            _check("database", argument, found)
            self._choose(database=argument, retrieval_strategy=None)
            return
        self._list([each["name"] for each in found], self._options.database or _default(found))

    def _strategy(self, argument: str) -> None:
        found = self._databases()
        name = self._options.database or _default(found)
        database = next((each for each in found if each["name"] == name), {})
        strategies = database.get("retrieval_strategies") or []
        if argument:
            _check("retrieval strategy", argument, strategies)
            self._choose(retrieval_strategy=argument)
            return
        self._list([each["name"] for each in strategies], self._options.retrieval_strategy or _default(strategies))

    def _databases(self) -> list[dict[str, Any]]:
        return list(self._api.get(f"{self._project.path}/rag/databases").get("databases") or [])

    def _rag(self, argument: str) -> None:
        if argument not in ("", "on", "off"):
            raise CliError(f"/rag {argument}: there are on and off")
        if argument:
            self._choose(rag_enabled=argument == "on")
        self._out.note("answers without the files" if self._options.rag_enabled is False else "searches the files")

    def _choose(self, **changes: Any) -> None:
        self._options = dataclasses.replace(self._options, **changes)
        self._out.note(", ".join(f"{key}: {value}" for key, value in changes.items() if value is not None))

    def _list(self, names: list[str], current: str | None) -> None:
        for name in names or ["none"]:
            self._out.text(f"{'*' if name == current else ' '} {name}")

    def _show_history(self, count: int | None) -> None:
        path = f"{self._project.path}/chat/sessions/{segment(self._state.session_id)}/history"
        try:
            messages = self._api.send("GET", path, timeout_s=HISTORY_TIMEOUT_S).get("messages") or []
        except ApiError:
            return  # a server without sessions, or one that is busy: the chat goes on
        for message in messages[-count:] if count else messages:
            content = str(message.get("content") or "")
            shown = content if count is None or len(content) <= SHOWN_CHARS else content[:SHOWN_CHARS] + " …"
            self._out.note(f"{message.get('role')}: {shown}")

    def _clear(self, _: str) -> None:
        try:
            self._api.delete(f"{self._project.path}/chat/sessions/{segment(self._state.session_id)}")
        except ApiError as error:
            self._out.warning(error)
        self._state.begin_anew()
        self._out.note("a new session")

    def _launch(self, argument: str) -> None:
        if argument != "designer":
            raise CliError("/launch: there is designer")
        self._out.text(self._api.url)
        if sys.stdout.isatty():
            webbrowser.open(self._api.url)

    def _exit(self, _: str) -> None:
        self._is_over = True

    def _state_of(self, project: ProjectName) -> ChatState:
        return ChatState.of(self._api.url, project, Path.cwd())


def _check(kind: str, name: str, found: list[dict[str, Any]]) -> None:
    """Raises CliError for a name that the project does not have."""
    known = [str(each["name"]) for each in found]
    if name not in known:
        raise CliError(f"no {kind} {name!r}: there are {', '.join(known) or 'none'}")


def _default(entries: list[dict[str, Any]]) -> str | None:
    return next((str(each["name"]) for each in entries if each.get("is_default")), None)
