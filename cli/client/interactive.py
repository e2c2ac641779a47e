"""Around the interactive chat: what was typed after `lf chat`, and a server to talk to for `lf start`."""

import os
import re
from pathlib import Path

from cli.client.caller import Caller
from cli.client.chat_request import ChatOptions
from cli.client.project_file import ProjectName, find_file
from cli.client.repl import Repl
from cli.errors import NotReachableError, UsageError

_PROJECT = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


def split_words(words: list[str]) -> tuple[str | None, str | None]:
    """(project, text). A first word of the form namespace/project is one, also when it stands alone."""
    if words and _PROJECT.fullmatch(words[0]):
        return words[0], " ".join(words[1:]) or None
    return None, " ".join(words) or None


def talk(lf: Caller, project: ProjectName, options: ChatOptions, *, is_new: bool, session: str | None = None) -> None:
    if lf.out.as_json:
        raise UsageError("--json answers one question: give it as TEXT, --file or through a pipe")
    with lf.api() as api:
        Repl(lf, api, project, options, is_new=is_new, session=session).run()


def start(lf: Caller, options: ChatOptions, *, is_new: bool, ollama_host: str | None) -> None:
    """A server, if none runs, and a chat with the folder's project."""
    if find_file(Path.cwd()) is None and lf.options.project is None:
        raise UsageError("there is no llamafarm.yaml in this folder: `lf init` makes a project of it")
    project = lf.project()
    if lf.out.as_json:
        raise UsageError("`lf start` is a conversation; with --json use `lf chat --json TEXT`")
    _start_services(lf, ollama_host)
    talk(lf, project, options, is_new=is_new)


def _start_services(lf: Caller, ollama_host: str | None) -> None:
    """Only for the server of this machine: one that was named with --server-url is somebody else's to start."""
    try:
        with lf.api() as api:
            api.get("/health")
    except NotReachableError:
        if lf.options.server_url is not None:
            raise
        if ollama_host:
            os.environ["LF_OLLAMA_HOST"] = ollama_host  # read by the settings of what is started
        from cli.background import start_in_background
        from cli.environment import load_settings

        lf.out.note("starting the server …")
        start_in_background(load_settings(), None)
        del lf.server_url  # found anew: it may listen elsewhere than the settings say
