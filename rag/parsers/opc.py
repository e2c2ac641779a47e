"""Office Open XML packages (Word, PowerPoint): parts and the relationships between them."""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final

from rag.errors import UnreadableFileError
from rag.parsers.archive import readable_package
from rag.parsers.base import FileProbe
from rag.parsers.decoding import clean
from rag.parsers.markup import parse_markup

RELATION_ID: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_RELATION: Final = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_STRICT: Final = "purl.oclc.org/ooxml"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_FACTS: Final = {"title": "title", "author": "creator", "subject": "subject"}


@dataclass(frozen=True, slots=True)
class Relation:
    id: str
    kind: str
    """The last word of its type: `slide`, `hyperlink`, `header` …"""
    target: str
    """The name of a part, or an address when it leads out of the package."""


class Package:
    """Finds parts as the relationships name them; part names differ in case between programs."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = {name.lower(): name for name in archive.namelist()}
        self._relations: dict[str, dict[str, Relation]] = {}

    @property
    def main(self) -> str:
        """The part that the package is about; raises KeyError where none is named."""
        names = self.related("", "officeDocument")
        if not names:
            raise KeyError("it does not say which part is the main one")
        return names[0]

    def has(self, name: str) -> bool:
        return name.lower() in self._names

    def root(self, name: str) -> Any:
        """The parsed part; raises KeyError where it is not there."""
        return parse_markup(self._archive.read(self._member(name)))

    def optional_root(self, owner: str, kind: str) -> Any | None:
        """The first part of `kind` that `owner` relates to, if there is one."""
        found = [name for name in self.related(owner, kind) if self.has(name)]
        return self.root(found[0]) if found else None

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(self._member(name))

    def _member(self, name: str) -> str:
        if not self.has(name):
            raise KeyError(f"part {name[:100]!r} is missing")
        return self._names[name.lower()]

    def related(self, owner: str, kind: str) -> list[str]:
        """Targets of one kind, in the order of their numbers (`header2` before `header10`)."""
        targets = [each.target for each in self.relations(owner).values() if each.kind == kind]
        return sorted(dict.fromkeys(targets), key=_by_number)

    def relations(self, owner: str) -> dict[str, Relation]:
        """By id, of the part `owner`; "" is the package itself."""
        if owner not in self._relations:
            folder = owner.rpartition("/")[0]
            found = (_relation(folder, entry) for entry in self.relation_entries(owner))
            self._relations[owner] = {each.id: each for each in found}
        return self._relations[owner]

    def relation_entries(self, owner: str) -> list[Any]:
        folder, _, base = owner.rpartition("/")
        name = posixpath.join(folder, "_rels", f"{base}.rels")
        return list(self.root(name).iter(_RELATION)) if self.has(name) else []

    def facts(self) -> dict[str, str]:
        """Title, author and subject, as far as they are given."""
        root = self.optional_root("", "core-properties")
        if root is None:
            return {}
        values = {key: clean(root.findtext(f"{_DC}{name}") or "").strip() for key, name in _FACTS.items()}
        return {key: value for key, value in values.items() if value}


@contextmanager
def opened_package(probe: FileProbe) -> Iterator[Package]:
    """What goes wrong inside because the file is damaged is raised as UnreadableFileError."""
    with readable_package(probe), zipfile.ZipFile(probe.path) as archive:
        package = Package(archive)
        if any(_STRICT in str(entry.get("Type")) for entry in package.relation_entries("")):
            raise UnreadableFileError(f"'{probe.filename}' is saved as Strict Open XML; save it in the usual format")
        yield package


def _relation(folder: str, entry: Any) -> Relation:
    kind, target = str(entry.get("Type", "")), str(entry.get("Target", ""))
    if entry.get("TargetMode") != "External":
        target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
    return Relation(str(entry.get("Id", "")), kind.rpartition("/")[2], target)


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d{1,9})", name)]
