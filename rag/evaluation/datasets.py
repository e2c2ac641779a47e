"""Reads sets of questions: JSON Lines, or a folder in the form of BEIR. Errors name file, line and field."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rag.errors import InvalidInputError, NotFoundError
from rag.evaluation.questions import Question, Target

FIELDS = ("id", "question", "expected_files", "expected_passages", "page", "pages")
MAX_QUESTION_CHARS = 2_000
MAX_PASSAGE_CHARS = 4_000
MAX_TARGETS = 1_000
MAX_GRADE = 100.0
DOCUMENT_SUFFIX = ".txt"


@dataclass(frozen=True, slots=True)
class BeirDocument:
    """`name` is that of the file which stands for the document: it is what qrels are translated to."""

    name: str
    text: str


def read_question(raw: Any, where: str, default_id: str) -> Question:
    """One question as users write it.

    Args:
        where: for messages: the file and line, or the place in a request.

    Raises:
        InvalidInputError: names `where`, the field, and what is accepted.
    """
    if not isinstance(raw, Mapping):
        raise InvalidInputError(f"{where}: a question is an object with {', '.join(FIELDS)}")
    unknown = sorted(str(key) for key in raw if key not in FIELDS)
    if unknown:
        raise InvalidInputError(f"{where}: '{unknown[0][:100]}' is not known; accepted: {', '.join(FIELDS)}")
    text = _text(raw.get("question"), f"{where}: question", MAX_QUESTION_CHARS)
    given_id = raw.get("id")
    identifier = default_id if given_id is None else _text(str(given_id), f"{where}: id", 200)
    files = _files(raw.get("expected_files"), where)
    passages = [
        _text(each, f"{where}: expected_passages[{number}]", MAX_PASSAGE_CHARS)
        for number, each in enumerate(_list(raw.get("expected_passages"), f"{where}: expected_passages"))
    ]
    targets = _targets(files, passages, _pages(raw, where), where)
    if not targets:
        raise InvalidInputError(
            f"{where}: expected_files or expected_passages is missing: one of them says what to find"
        )
    return Question(identifier, text, tuple(targets))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of questions, each checked with `read_question`."""
    found = []
    for number, line in _lines(path):
        raw = _json(line, f"{path.name}, line {number}")
        read_question(raw, f"{path.name}, line {number}", str(number))
        found.append(dict(raw))
    if not found:
        raise InvalidInputError(f'{path.name} holds no question; one a line, as JSON: {{"question": …}}')
    return found


def is_beir(folder: Path) -> bool:
    return (folder / "queries.jsonl").is_file() and (folder / "corpus.jsonl").is_file()


def read_beir(folder: Path) -> list[dict[str, Any]]:
    """The questions of a BEIR folder that have judgements, as `read_question` takes them.

    Documents with the same text are one file, which then counts as much as the best of them.

    Raises:
        NotFoundError: a file of the folder is missing.
        InvalidInputError: a line is not of BEIR's form.
    """
    names = {identifier: name for identifier, name, _ in _documents(folder)}
    judged: dict[str, dict[str, float]] = {}
    for query_id, document_id, grade in _judgements(_qrels(folder)):
        if grade > 0:
            files = judged.setdefault(query_id, {})
            name = names.get(document_id) or document_name(document_id)
            files[name] = max(grade, files.get(name, 0.0))
    questions = []
    for where, raw in _objects(folder / "queries.jsonl"):
        identifier, text = _field(raw, "_id", where), _field(raw, "text", where)
        if identifier in judged:
            questions.append({"id": identifier, "question": text, "expected_files": judged[identifier]})
    if not questions:
        raise InvalidInputError(f"no query of {folder.name}/queries.jsonl has a judgement above 0 in qrels")
    return questions


def read_corpus(folder: Path) -> Iterator[BeirDocument]:
    """Title and text of each document that has some; the same text once."""
    done = set()
    for _, name, text in _documents(folder):
        if name not in done:
            done.add(name)
            yield BeirDocument(name, text)


def _documents(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(id, name of its file, text): of documents with the same text, the first one's name."""
    names: dict[bytes, str] = {}
    for where, raw in _objects(folder / "corpus.jsonl"):
        title, body = str(raw.get("title") or "").strip(), str(raw.get("text") or "").strip()
        text = "\n\n".join(part for part in (title, body) if part)
        if text:
            identifier = _field(raw, "_id", where)
            digest = hashlib.sha256(text.encode(errors="replace")).digest()
            yield identifier, names.setdefault(digest, document_name(identifier)), text


def document_name(document_id: str) -> str:
    """The name of the file that stands for a document: its id, with what no file name holds in percent form."""
    return quote(document_id, safe=" ()+,=@") + DOCUMENT_SUFFIX


def _targets(files: Mapping[str, float], passages: list[str], pages: tuple[int, ...], where: str) -> list[Target]:
    if not passages:
        if pages and len(files) != 1:
            raise InvalidInputError(f"{where}: page says where in one expected file; expected_files names {len(files)}")
        return [Target(file, None, pages, grade) for file, grade in files.items()]
    if len(files) > 1:
        raise InvalidInputError(f"{where}: expected_passages go with one expected file or none, not with {len(files)}")
    file = next(iter(files), None)
    return [Target(file, passage, pages, files.get(file or "", 1.0)) for passage in dict.fromkeys(passages)]


def _files(value: Any, where: str) -> dict[str, float]:
    """Name → grade: a list of names, or an object with grades."""
    if not isinstance(value, Mapping):
        names = _list(value, f"{where}: expected_files")
        return {_text(name, f"{where}: expected_files[{at}]", 500): 1.0 for at, name in enumerate(names)}
    if len(value) > MAX_TARGETS:
        raise InvalidInputError(f"{where}: expected_files has {len(value)} entries; at most {MAX_TARGETS} are accepted")
    for name, grade in value.items():
        if isinstance(grade, bool) or not isinstance(grade, int | float) or not 0 < grade <= MAX_GRADE:
            raise InvalidInputError(
                f"{where}: expected_files.{str(name)[:100]}: a grade is a number above 0, at most {MAX_GRADE:g}"
            )
    return {_text(name, f"{where}: expected_files", 500): float(grade) for name, grade in value.items()}


def _pages(raw: Mapping[str, Any], where: str) -> tuple[int, ...]:
    given = [] if raw.get("page") is None else [raw["page"]]
    given += _list(raw.get("pages"), f"{where}: pages")
    for page in given:
        if isinstance(page, bool) or not isinstance(page, int) or page < 1:
            raise InvalidInputError(f"{where}: page: a page is a whole number from 1 on")
    return tuple(given)


def _list(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidInputError(f"{where} is to be a list")
    if len(value) > MAX_TARGETS:
        raise InvalidInputError(f"{where} has {len(value)} entries; at most {MAX_TARGETS} are accepted")
    return value


def _text(value: Any, where: str, max_chars: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{where} is to be text that is not empty")
    if len(value) > max_chars:
        raise InvalidInputError(f"{where} has {len(value)} characters; at most {max_chars} are accepted")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"{where} holds half a surrogate pair, which is no text: {error.reason}") from error
    return value.strip()


def _qrels(folder: Path) -> Path:
    """`qrels/test.tsv`, else the only one there is."""
    test = folder / "qrels" / "test.tsv"
    if test.is_file():
        return test
    found = sorted((folder / "qrels").glob("*.tsv"))
    if len(found) != 1:
        raise NotFoundError(f"{folder.name}/qrels/test.tsv is missing: it says which documents answer which query")
    return found[0]


def _judgements(path: Path) -> Iterator[tuple[str, str, float]]:
    for number, line in _lines(path):
        parts = line.rstrip("\n").split("\t")
        where = f"{path.name}, line {number}"
        if len(parts) != 3:
            raise InvalidInputError(
                f"{where}: three columns (query-id, corpus-id, score) with tabs between are expected"
            )
        try:
            grade = float(parts[2])
        except ValueError:
            if number == 1:
                continue  # names of the columns
            raise InvalidInputError(f"{where}: score {parts[2][:40]!r} is no number") from None
        if not grade <= MAX_GRADE:
            raise InvalidInputError(f"{where}: score {parts[2][:40]!r} is above {MAX_GRADE:g}")
        yield parts[0], parts[1], grade


def _objects(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in _lines(path):
        where = f"{path.name}, line {number}"
        raw = _json(line, where)
        if not isinstance(raw, Mapping):
            raise InvalidInputError(f"{where}: an object is expected")
        yield where, raw


def _field(raw: Mapping[str, Any], name: str, where: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str | int) or not str(value).strip():
        raise InvalidInputError(f"{where}: '{name}' is missing or no text")
    return str(value).strip()


def _json(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{where}: no JSON ({error})") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, numbered from 1."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path.name} is not UTF-8: {error.reason}") from error
