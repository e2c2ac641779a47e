"""Keys are made where the state is: who can write to it needs no key, and a server that nobody can open yet no help."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.client.caller import Caller
from cli.environment import load_settings
from cli.errors import CliError, UsageError
from config.layout import is_accepted_name
from config.settings import Settings
from rag.errors import RagError
from state.keys import ApiKeys, KeyRecord, open_keys

MAX_NAME_CHARS = 200


def create_key(lf: Caller, name: str, data_dir: Path | None) -> None:
    """Only options name the scope, never the folder's llamafarm.yaml: nobody should be surprised by it."""
    namespace, project = lf.options.namespace, lf.options.project
    if project is not None and namespace is None:
        raise UsageError("which namespace is the project in? Give --namespace too")
    for what, value in (("--namespace", namespace), ("--project", project)):
        if value is not None and not is_accepted_name(value):
            raise UsageError(f"{what} {value!r}: expected 1 to 100 letters, digits, '_', '-' and '.'")
    if not name.strip() or len(name) > MAX_NAME_CHARS:
        raise UsageError(f"the name of a key has 1 to {MAX_NAME_CHARS} characters")
    settings = load_settings(data_dir=data_dir)
    with _keys(settings) as keys:
        is_first = not keys.in_use()
        record, text = keys.create(name.strip(), namespace, project)
    lf.out.result({**_document(record), "key": text}, lambda: lf.out.text(text))
    lf.out.note(f"good for {_scope(record)}; it is shown this once, and only its SHA-256 is kept")
    if is_first and settings.api_key is None:
        lf.out.note("the server asks for a key from now on: send it as 'Authorization: Bearer <key>'")


def list_keys(lf: Caller, data_dir: Path | None, *, with_revoked: bool) -> None:
    with _keys(load_settings(data_dir=data_dir)) as keys:
        found = [each for each in keys.all() if with_revoked or each.revoked_at is None]
    rows = [[each.id, each.name, f"…{each.hint}", _scope(each), _day(each.created_at), _state(each)] for each in found]
    headings = ["ID", "NAME", "ENDS IN", "GOOD FOR", "MADE", "STATE"]
    lf.out.result([_document(each) for each in found], lambda: lf.out.table(headings, rows))


def revoke_key(lf: Caller, wanted: str, data_dir: Path | None, *, is_sure: bool) -> None:
    settings = load_settings(data_dir=data_dir)
    with _keys(settings) as keys:
        record = _found(keys.in_use(), wanted)
        lf.out.confirm(f"Revoke the key '{record.name}' (…{record.hint})?", is_sure=is_sure)
        keys.revoke(record.id)
        is_last = not keys.in_use()
    document = {"id": record.id, "revoked": True}
    lf.out.result(document, lambda: lf.out.text(f"revoked '{record.name}' (…{record.hint})"))
    if is_last and settings.api_key is None:
        lf.out.warning("no key is left: the server answers without one now")


def _found(keys: list[KeyRecord], wanted: str) -> KeyRecord:
    found = [each for each in keys if each.id == wanted] or [each for each in keys if each.name == wanted]
    if len(found) == 1:
        return found[0]
    if not found:
        raise CliError(f"no key in use has the id or name '{wanted}': `lf keys list` shows them")
    ids = ", ".join(each.id for each in found)
    raise CliError(f"{len(found)} keys are called '{wanted}': name one by its id ({ids})")


@contextmanager
def _keys(settings: Settings) -> Iterator[ApiKeys]:
    try:
        with open_keys(settings) as keys:
            yield keys
    except (RagError, OSError) as error:
        raise CliError(f"state database: {error}") from error


def _document(record: KeyRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "hint": record.hint,
        "namespace": record.namespace,
        "project": record.project,
        "created_at": _time(record.created_at),
        "revoked_at": None if record.revoked_at is None else _time(record.revoked_at),
    }


def _scope(record: KeyRecord) -> str:
    if record.namespace is None:
        return "everything"
    return record.namespace if record.project is None else f"{record.namespace}/{record.project}"


def _state(record: KeyRecord) -> str:
    return "in use" if record.revoked_at is None else f"revoked {_day(record.revoked_at)}"


def _day(seconds: float) -> str:
    return _time(seconds)[:10]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
