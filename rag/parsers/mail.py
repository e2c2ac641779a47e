"""Mail as servers and most programs keep it (.eml), and mailboxes of such mails (.mbox)."""

import email
import mimetypes
from collections.abc import Iterator
from contextlib import suppress
from email.errors import HeaderParseError, MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import Compat32
from email.utils import getaddresses, parsedate_to_datetime
from io import BytesIO
from typing import ClassVar, Final

from rag.errors import LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import clean, decode
from rag.parsers.mail_text import Mail, MailOptions, MailWriter
from rag.parsers.nesting import Inner
from rag.types import Document, Scalar

_MAX_MAIL_BYTES = 200_000_000
"""The library holds a mail in memory some five times."""
_MAX_HEADER_CHARS = 20_000
_MAX_HEADER_PARAMETERS = 200
_MAX_ADDRESSES = 200
_LINE_BYTES = 1_000_000
_ADDRESSES: Final = ("From", "To", "Cc")


class _ShortHeaders(Compat32):
    """Cuts what the library takes apart by itself, of every part: its time grows with the square of the length."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        if name.lower().startswith("content-"):
            value = ";".join(value[:_MAX_HEADER_CHARS].split(";", _MAX_HEADER_PARAMETERS)[:_MAX_HEADER_PARAMETERS])
        return name, value


class EmailParser:
    """The plain version of a mail is read before the HTML one, unless that says far more; pictures inside of the HTML
    are not read."""

    media_types: ClassVar[frozenset[str]] = frozenset({media.MAIL, media.MBOX})

    class Options(MailOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        if probe.size_bytes == 0:
            raise NoTextError(f"'{probe.filename}' has no text: the file is empty")
        builder = DocumentBuilder("EmailParser", limits)
        if probe.media_type == media.MBOX:
            return self._parse_box(probe, limits, builder, on_progress)
        _check_mail_size(probe, probe.size_bytes)
        writer = MailWriter(probe, limits, builder, self.options)
        return writer.document(self._mail(probe.path.read_bytes(), probe, writer), on_progress)

    def _parse_box(
        self, probe: FileProbe, limits: ParseLimits, builder: DocumentBuilder, on_progress: ProgressCallback
    ) -> Document:
        """Each mail of a mailbox is a part with its subject and date for a name."""
        writer = MailWriter(probe, limits, builder, self.options)
        count = 0
        for count, raw in enumerate(_box_mails(probe), start=1):
            writer.nest.budget.take_entries(1)
            mail = self._mail(raw, probe, writer)
            with builder.part("member", f"{mail.title or 'no subject'} ({mail.facts.get('date', f'mail {count}')})"):
                writer.write(mail, no_progress)
            on_progress(count, None)
        if not builder.has_text:
            raise NoTextError(f"'{probe.filename}' has no text: no mail in it has a subject or text")
        facts: dict[str, Scalar] = {"mail_count": count} if self.options.extract_metadata else {}
        return builder.build(metadata=facts, page_count=builder.page_count, warnings=writer.nest.warnings)

    def _mail(self, raw: bytes, probe: FileProbe, writer: MailWriter) -> Mail:
        try:
            return _Reader(self.options, writer).mail(email.message_from_bytes(raw, policy=_ShortHeaders()))
        except RecursionError as error:
            raise UnreadableFileError(f"'{probe.filename}' is damaged: its parts nest too deeply") from error
        except (MessageError, UnicodeError, LookupError, TypeError, AttributeError, ValueError) as error:
            # What the library raises for headers and encodings that make no sense.
            raise UnreadableFileError(f"'{probe.filename}' is damaged: the mail cannot be taken apart") from error


def _check_mail_size(probe: FileProbe, size_bytes: int) -> None:
    if size_bytes > _MAX_MAIL_BYTES:
        raise LimitExceededError(
            f"'{probe.filename}' has a mail of {size_bytes:,} bytes, more than {_MAX_MAIL_BYTES:,}; "
            "upload its attachments by themselves"
        )


def _box_mails(probe: FileProbe) -> Iterator[bytes]:
    """The bytes of each mail of a mailbox, without the line that begins it."""
    lines: list[bytes] = []
    size, after_blank = 0, True
    with probe.path.open("rb") as stream:
        while line := stream.readline(_LINE_BYTES):
            if after_blank and line.startswith(b"From "):
                if lines:
                    yield b"".join(lines)
                lines, size = [], 0
            else:
                lines.append(line)
                size += len(line)
                _check_mail_size(probe, size)
            after_blank = not line.strip()
    if lines:
        yield b"".join(lines)


class _Reader:
    def __init__(self, options: MailOptions, writer: MailWriter) -> None:
        self._options = options
        self._budget = writer.nest.budget

    def mail(self, message: Message) -> Mail:
        subject = _shown(message.get("Subject"))
        headers = [(name, _people(message, name)) for name in _ADDRESSES]
        headers.append(("Date", _shown(message.get("Date"))))
        facts: dict[str, Scalar] = {name.lower(): value for name, value in headers if value}
        if date := _iso_date(str(message.get("Date") or "")):
            facts["date"] = date
        if identity := _shown(message.get("Message-ID")):
            facts["message_id"] = identity
        mail = Mail(subject=subject, headers=headers, facts=facts)
        plain: list[str] = []
        html: list[str] = []
        self._take_apart(message, mail, plain, html)
        mail.plain, mail.html = "\n\n".join(plain), "\n".join(html)
        return mail

    def _take_apart(self, message: Message, mail: Mail, plain: list[str], html: list[str]) -> None:
        pending = [message]
        while pending:
            part = pending.pop()
            kind = part.get_content_type()
            if kind == "message/rfc822" and part.is_multipart():
                self._budget.take_entries(1)
                inner = self.mail(_parts(part)[0])
                mail.attached.append((_file_name(part) or f"{inner.title or 'forwarded mail'}.eml", inner))
            elif part.is_multipart():
                pending.extend(reversed(_parts(part)))
            elif _is_body(part, kind):
                (html if kind == "text/html" else plain).append(self._text(part))
            elif not _is_picture_in_text(part):
                self._budget.take_entries(1)
                name = _file_name(part) or f"attachment {len(mail.attached) + 1}{mimetypes.guess_extension(kind) or ''}"
                mail.attached.append(Inner(name, lambda part=part: BytesIO(_payload(part))))  # type: ignore[misc]  # bound now

    def _text(self, part: Message) -> str:
        raw = _payload(part)
        charset = part.get_content_charset() or self._options.encoding
        return clean(decode(raw, charset)[0])


def _parts(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []


def _payload(part: Message) -> bytes:
    raw = part.get_payload(decode=True)
    return raw if isinstance(raw, bytes) else b""


def _is_body(part: Message, kind: str) -> bool:
    if part.get_content_disposition() == "attachment" or (_file_name(part) and part.get_content_disposition()):
        return False
    return kind in {"text/plain", "text/html", "text/enriched", "message/delivery-status"}


def _is_picture_in_text(part: Message) -> bool:
    is_shown = part.get("Content-ID") is not None and part.get_content_disposition() != "attachment"
    return part.get_content_maintype() == "image" and is_shown


def _file_name(part: Message) -> str:
    name = part.get_filename()
    return _shown(name) if name else ""


def _shown(value: object) -> str:
    """A header as people read it, on one line."""
    text = str(value or "")[:_MAX_HEADER_CHARS]
    with suppress(HeaderParseError, UnicodeError, LookupError, ValueError):  # else shown as it is written
        text = str(make_header(decode_header(text)))
    return " ".join(clean(text.encode("utf-8", "replace").decode("utf-8")).split())


def _people(message: Message, name: str) -> str:
    """`Ada Lovelace <ada@example.org>, …`."""
    values = [str(value)[:_MAX_HEADER_CHARS] for value in message.get_all(name, [])]
    people = []
    for real, address in getaddresses(values)[:_MAX_ADDRESSES]:
        shown, at = _shown(real), _shown(address)
        people.append(f"{shown} <{at}>" if shown and at else shown or at)
    return ", ".join(each for each in people if each) or _shown(", ".join(values))


def _iso_date(value: str) -> str:
    try:
        return parsedate_to_datetime(value[:200]).isoformat()
    except (TypeError, ValueError, OverflowError, IndexError):
        return ""
