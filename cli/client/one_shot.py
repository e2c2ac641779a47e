"""`lf chat TEXT`: one question, one answer."""

import sys
from pathlib import Path

from cli.client.answer import show_rest, stream_answer
from cli.client.caller import Caller
from cli.client.chat_request import ChatOptions, chat_body, chat_path, curl_line
from cli.client.project_file import ProjectName
from cli.errors import CliError, UsageError

STDIN = "-"


def read_question(text: str | None, file: str | None) -> str | None:
    """What was typed, followed by what the file holds; without either, what is piped in. None: nothing of that.

    Raises:
        CliError: the file cannot be read.
        UsageError: there is a question, but it is empty.
    """
    if text is None and file is None:
        if sys.stdin.isatty():
            return None
        file = STDIN
    parts = [part for part in (text, None if file is None else _read(file)) if part is not None]
    question = "\n\n".join(parts).strip()
    if not question:
        raise UsageError("the question is empty")
    return question


def _read(file: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == STDIN else Path(file).expanduser().read_bytes()
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}") from error
    return content.decode("utf-8", errors="replace")


def ask(lf: Caller, project: ProjectName, question: str, options: ChatOptions, session: str | None) -> None:
    """Without a session nothing of it is kept on the server."""
    messages = [{"role": "user", "content": question}]
    headers = {"X-Session-ID": session} if session else {"X-No-Session": "true"}
    with lf.api() as api:
        if lf.out.as_json:
            body = chat_body(messages, options, stream=False)
            path, timeout_s = chat_path(project), api.stream_timeout_s
            lf.out.document(api.send("POST", path, timeout_s=timeout_s, json=body, headers=headers))
            return
        body = chat_body(messages, options, stream=True)
        answer = stream_answer(lf.out, api, chat_path(project), body, headers)
    show_rest(lf.out, answer)


def dry_run(lf: Caller, project: ProjectName, question: str, options: ChatOptions) -> None:
    """Print the request instead of sending it."""
    with lf.api() as api:
        body = chat_body([{"role": "user", "content": question}], options, stream=True)
        url = api.url + chat_path(project)
        line = curl_line(url, body, has_key=api.api_key is not None)
    lf.out.result({"method": "POST", "url": url, "body": body, "curl": line}, lambda: lf.out.text(line))
