"""How a mail reads as text, whichever format it came in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field

from rag.errors import NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback
from rag.parsers.builder import DocumentBuilder
from rag.parsers.nesting import MAX_DEPTH, Inner, Nest, read_bytes, shown_name
from rag.parsers.ocr import OcrLanguages, UseOcr
from rag.registry import ComponentOptions
from rag.types import Document, Scalar

_MAX_LINE_CHARS = 300
_MAX_STUB_WORDS = 100
_FAR_MORE: Final = 3
_HISTORY: Final = re.compile(
    r"(On\b.{5,250}\bwrote:|Am\b.{5,250}\bschrieb\b.{0,100}:|Le\b.{5,250}\ba écrit ?:|Begin forwarded message:"
    r"|-{2,} ?(?:Original Message|Forwarded [Mm]essage|Ursprüngliche Nachricht|Message d'origine) ?-{2,})\s*$"
)
"""The line over what a mail answers to or forwards."""
_SENDER_LINE = re.compile(r"\*?(From|Von|De) ?:\*? ")
_DATE_LINE = re.compile(r"\*?(Sent|Date|Gesendet|Datum|Envoyé|Enviado) ?:\*? ")
_BLANK_LINES = re.compile(r"\n{4,}")


class MailOptions(ComponentOptions):
    extract_metadata: bool = Field(True, description="Keep subject, sender, recipients and date as metadata.")
    extract_headers: bool = Field(True, description="Write sender, recipients and date over the text of the mail.")
    extract_attachments: bool = Field(True, description="Name the attachments, in the text and as metadata.")
    include_attachment_content: bool = Field(True, description="Read the attachments, each by the parser for it.")
    clean_text: bool = Field(True, description="Drop spaces at line ends and runs of more than two blank lines.")
    preserve_formatting: bool = Field(
        False, description="Read the HTML version of a mail, with its tables and lists, before the plain one."
    )
    encoding: str = Field("utf-8", description="Of text that does not say its own.")
    use_ocr: UseOcr = True
    ocr_languages: OcrLanguages = "eng"


@dataclass(slots=True)
class Mail:
    """Args:
    headers: (name, value) as they are shown: From, To, Cc, Date.
    attached: files, and mails inside of this one with their names.
    """

    subject: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, Scalar] = field(default_factory=dict)
    plain: str = ""
    html: str = ""
    attached: list["Inner | tuple[str, Mail]"] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [shown_name(each.name if isinstance(each, Inner) else each[0]) for each in self.attached]

    @property
    def title(self) -> str:
        return " ".join(self.subject.split())


class MailWriter:
    """Writes mails into a document: the subject as heading, then headers, text, history and attachments."""

    def __init__(
        self, probe: FileProbe, limits: ParseLimits, builder: DocumentBuilder, options: MailOptions, level: int = 1
    ) -> None:
        self._probe = probe
        self._limits = limits
        self._builder = builder
        self._options = options
        self._level = level
        self._depth = 0
        self.nest: Final = Nest(
            probe, limits, builder, "attachment", heading_level=level + 1, options=options.model_dump()
        )

    def write(self, mail: Mail, on_progress: ProgressCallback) -> None:
        self._write_mail(mail, self._level)
        self._write_attached(mail, on_progress)

    def document(self, mail: Mail, on_progress: ProgressCallback) -> Document:
        """The document of a file that is one mail."""
        self.write(mail, on_progress)
        if not self._builder.has_text:
            raise NoTextError(f"'{self._probe.filename}' has no text: the mail has neither subject nor text")
        on_progress(len(mail.attached) + 1, len(mail.attached) + 1)
        return self._builder.build(
            metadata=self._facts(mail) if self._options.extract_metadata else {},
            page_count=self._builder.page_count,
            warnings=self.nest.warnings,
        )

    def _facts(self, mail: Mail) -> dict[str, Scalar]:
        facts = {"title": mail.title, "subject": mail.title} if mail.title else {}
        names = mail.names if self._options.extract_attachments else []
        return {**facts, **mail.facts, **({"attachments": ", ".join(names)} if names else {})}

    def _write_mail(self, mail: Mail, level: int) -> None:
        if mail.title:
            self._builder.add_heading(mail.title, level)
        lines = [f"{name}: {value}" for name, value in mail.headers if value] if self._options.extract_headers else []
        if self._options.extract_attachments and mail.attached:
            lines.append(f"Attachments: {', '.join(mail.names)}")
        if lines:
            self._builder.add("\n".join(lines))
        text = self._body(mail)
        for title, section in history_sections(tidy(text) if self._options.clean_text else text):
            if title:
                self._builder.add_heading(title, level + 1)
            if section.strip():
                self._builder.add(section.strip("\n"), separator="\n" if title else "\n\n")

    def _body(self, mail: Mail) -> str:
        words = len(mail.plain.split(maxsplit=_MAX_STUB_WORDS + 1))
        if not mail.html or (words > _MAX_STUB_WORDS and not self._options.preserve_formatting):
            return mail.plain
        page = self._page(mail.html)
        says_more = len(page.split()) > _FAR_MORE * words  # "Your program cannot show this mail"
        return page if page and (self._options.preserve_formatting or says_more) else mail.plain

    def _page(self, html: str) -> str:
        raw, options = html.encode("utf-8", errors="replace"), {"encoding": "utf-8"}
        try:
            return read_bytes(raw, "HTMLParser", options, self._probe.filename, media.HTML, self._limits).text
        except UnreadableFileError:
            return ""  # nothing to see without pictures

    def _write_attached(self, mail: Mail, on_progress: ProgressCallback) -> None:
        if not (self._options.include_attachment_content and self._options.extract_attachments):
            return
        total = len(mail.attached) + 1
        for done, each in enumerate(mail.attached):
            if isinstance(each, Inner):
                if self.nest.is_too_deep:
                    self.nest.warn(UnreadableFileError(f"'{shown_name(each.name)}' lies inside of {MAX_DEPTH} others"))
                else:
                    self.nest.add(each, on_progress, done, total)
            else:
                self._write_inner_mail(*each, on_progress)

    def _write_inner_mail(self, name: str, mail: Mail, on_progress: ProgressCallback) -> None:
        if self._depth >= MAX_DEPTH:
            self.nest.warn(UnreadableFileError(f"'{shown_name(name)}' lies inside of {MAX_DEPTH} other mails"))
            return
        self._depth += 1
        with self._builder.part("attachment", shown_name(name)):
            self._write_mail(mail, self._level + 1)
            self._write_attached(mail, on_progress)
        self._depth -= 1


def history_sections(text: str) -> list[tuple[str, str]]:
    """(heading, text) of a mail's own words, under no heading, and of each mail that it quotes below."""
    lines = text.split("\n")
    sections: list[tuple[str, list[str]]] = [("", [])]
    for index, line in enumerate(lines):
        if _begins_history(lines, index):
            sections.append((" ".join(line.strip("->*_ \t").split()), []))
        else:
            sections[-1][1].append(line)
    return [(title, "\n".join(section)) for title, section in sections]


def _begins_history(lines: Sequence[str], index: int) -> bool:
    line = lines[index].strip()
    if not line or len(line) > _MAX_LINE_CHARS or line.startswith(">"):
        return False
    if _HISTORY.match(line):
        return True
    below = lines[index + 1 : index + 3]
    return bool(_SENDER_LINE.match(line)) and any(_DATE_LINE.match(each.strip()) for each in below)


def tidy(text: str) -> str:
    return _BLANK_LINES.sub("\n\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip()
