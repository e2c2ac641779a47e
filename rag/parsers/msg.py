"""Mail as Outlook saves it (.msg): an OLE file whose streams are named after MAPI's numbers of properties.

Source:
    Microsoft, "[MS-OXMSG]: Outlook Item (.msg) File Format" and "[MS-OXRTFCP]: RTF Compression Algorithm".
"""

import datetime as dt
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import HeaderParser
from io import BytesIO
from typing import Any, ClassVar, Final

from rag.errors import LimitExceededError, NoTextError, UnreadableFileError
from rag.parsers import media
from rag.parsers.base import FileProbe, ParseLimits, ProgressCallback, no_progress
from rag.parsers.builder import DocumentBuilder
from rag.parsers.decoding import clean, decode
from rag.parsers.mail_text import Mail, MailOptions, MailWriter
from rag.parsers.nesting import MAX_DEPTH, Inner, read_bytes
from rag.types import Document, Scalar

_SUBJECT, _BODY, _HTML, _RTF, _MESSAGE_ID, _TRANSPORT = "0037", "1000", "1013", "1009", "1035", "007D"
_SENDER, _SENDER_ADDRESS, _SENDER_SMTP, _TO, _CC = "0C1A", "0C1F", "5D01", "0E04", "0E03"
_NAME, _ADDRESS, _SMTP = "3001", "3003", "39FE"
_DATA, _LONG_NAME, _SHORT_NAME, _CONTENT_ID, _IS_HIDDEN = "3701", "3707", "3704", "3712", 0x7FFE
_RECIPIENT_TYPE, _SENT, _RECEIVED, _CODEPAGE, _HTML_CODEPAGE = 0x0C15, 0x0039, 0x0E06, 0x3FFD, 0x3FDE
_PROPERTIES: Final = "__properties_version1.0"
_HEADER_BYTES: Final = {"top": 32, "inner": 24, "part": 8}
_FILETIME_EPOCH: Final = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)
_MAX_MSG_BYTES = 200_000_000
_MAX_PEOPLE = 200
_MAX_RTF_BYTES = 20_000_000
_UTF8_CODEPAGE = 65001
_RTF_MAGIC = b"LZFu"
_RTF_DICTIONARY: Final = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, struct.error)
"""What the OLE reader raises for a file that is cut off or points to places outside of itself."""


class MsgParser:
    """Pictures that stand inside of the text are not read."""

    media_types: ClassVar[frozenset[str]] = frozenset({media.MSG})

    class Options(MailOptions):
        pass

    def __init__(self, options: Options) -> None:
        self.options = options

    def accepts(self, probe: FileProbe) -> bool:
        return probe.media_type in self.media_types

    def parse(self, probe: FileProbe, limits: ParseLimits, on_progress: ProgressCallback = no_progress) -> Document:
        if probe.size_bytes == 0:
            raise NoTextError(f"'{probe.filename}' has no text: the file is empty")
        if probe.size_bytes > _MAX_MSG_BYTES:
            raise LimitExceededError(
                f"'{probe.filename}' is a mail of {probe.size_bytes:,} bytes, more than {_MAX_MSG_BYTES:,}; "
                "upload its attachments by themselves"
            )
        builder = DocumentBuilder("MsgParser", limits)
        writer = MailWriter(probe, limits, builder, self.options)
        with _readable(probe):
            mail = _Reader(probe, limits, self.options, writer).read()
        return writer.document(mail, on_progress)


@contextmanager
def _readable(probe: FileProbe) -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise UnreadableFileError(f"'{probe.filename}' is damaged: its folders nest too deeply") from error
    except OSError as error:
        if error.errno is not None and not isinstance(error, EOFError):
            raise
        raise _damaged(probe) from error
    except _DAMAGE as error:
        raise _damaged(probe) from error


def _damaged(probe: FileProbe) -> UnreadableFileError:
    return UnreadableFileError(f"'{probe.filename}' is damaged: its folders or streams cannot be read")


class _Reader:
    def __init__(self, probe: FileProbe, limits: ParseLimits, options: MailOptions, writer: MailWriter) -> None:
        self._probe = probe
        self._limits = limits
        self._options = options
        self._budget = writer.nest.budget

    def read(self) -> Mail:
        import olefile

        with self._probe.path.open("rb") as stream, olefile.OleFileIO(stream) as ole:
            return self._mail(_Folder(ole, (), "top", self._options.encoding), 0)

    def _mail(self, folder: "_Folder", depth: int) -> Mail:
        to, cc = self._people(folder)
        smtp = folder.text(_SENDER_SMTP) or folder.text(_SENDER_ADDRESS)
        sender = _person(folder.text(_SENDER), smtp)
        sent = folder.time(_SENT) or folder.time(_RECEIVED)
        transport = HeaderParser().parsestr(folder.text(_TRANSPORT)[:100_000]) if not (sender and sent) else None
        date = str(transport.get("Date") or "") if transport and not sent else sent
        values = {"From": sender or str((transport and transport.get("From")) or ""), "To": to, "Cc": cc, "Date": date}
        headers = [(name, clean(" ".join(value.split()))) for name, value in values.items()]
        facts: dict[str, Scalar] = {name.lower(): value for name, value in headers if value}
        if identity := folder.text(_MESSAGE_ID).strip():
            facts["message_id"] = identity
        mail = Mail(subject=folder.text(_SUBJECT), headers=headers, facts=facts, plain=folder.text(_BODY))
        mail.html = folder.html()
        if not mail.plain.strip() and not mail.html.strip():
            mail.plain = self._rich_text(folder)
        self._add_attached(folder, mail, depth)
        return mail

    def _people(self, folder: "_Folder") -> tuple[str, str]:
        """To and Cc."""
        found: dict[int, list[str]] = {1: [], 2: []}
        for recipient in folder.folders("__recip_version1.0_")[:_MAX_PEOPLE]:
            person = _person(recipient.text(_NAME), recipient.text(_SMTP) or recipient.text(_ADDRESS))
            found.setdefault(recipient.number(_RECIPIENT_TYPE) or 1, []).append(person)
        return ", ".join(filter(None, found[1])) or folder.text(_TO), ", ".join(filter(None, found[2])) or folder.text(
            _CC
        )

    def _rich_text(self, folder: "_Folder") -> str:
        packed = folder.raw(_RTF)
        if not packed:
            return ""
        rtf = unpack_rtf(packed)
        try:
            return read_bytes(rtf, "RTFParser", {}, self._probe.filename, media.RTF, self._limits).text
        except UnreadableFileError:
            return ""  # a mail without words: its subject and attachments remain

    def _add_attached(self, folder: "_Folder", mail: Mail, depth: int) -> None:
        for number, attachment in enumerate(folder.folders("__attach_version1.0_"), start=1):
            self._budget.take_entries(1)
            name = attachment.text(_LONG_NAME) or attachment.text(_SHORT_NAME) or attachment.text(_NAME)
            name = name.strip() or f"attachment {number}"
            if (inner := attachment.inner_mail()) is not None and depth < MAX_DEPTH:
                mail.attached.append((name, self._mail(inner, depth + 1)))
            elif not (attachment.text(_CONTENT_ID) and attachment.number(_IS_HIDDEN)):
                data = attachment.raw(_DATA)  # read now: the file is closed when the attachments are parsed
                self._budget.take_bytes(len(data))
                mail.attached.append(Inner(name, lambda data=data: BytesIO(data), is_counted=True))  # type: ignore[misc]  # bound now


class _Folder:
    """A storage of the OLE file: a mail, a recipient or an attachment."""

    def __init__(self, ole: Any, path: tuple[str, ...], kind: str, encoding: str, codepage: str | None = None) -> None:
        self._ole = ole
        self._path = path
        self._numbers = dict(self._fixed(kind))
        page = self.number(_CODEPAGE) or self.number(_HTML_CODEPAGE)
        self._encoding = codepage or (_codec(page) if page else encoding)

    def text(self, number: str) -> str:
        wide = self._stream(f"__substg1.0_{number}001F")
        if wide is not None:
            return clean(wide.decode("utf-16-le", errors="replace"))
        narrow = self._stream(f"__substg1.0_{number}001E")
        return "" if narrow is None else clean(decode(narrow, self._encoding)[0])

    def raw(self, number: str) -> bytes:
        return self._stream(f"__substg1.0_{number}0102") or b""

    def number(self, number: int) -> int:
        return int.from_bytes(self._numbers.get(number, b"")[:4], "little", signed=True)

    def time(self, number: int) -> str:
        ticks = int.from_bytes(self._numbers.get(number, b""), "little")
        try:
            moment = _FILETIME_EPOCH + dt.timedelta(microseconds=ticks // 10) if ticks else None
        except OverflowError:
            return ""
        return moment.isoformat(timespec="seconds") if moment else ""

    def html(self) -> str:
        raw = self.raw(_HTML)
        if not raw:
            return self.text(_HTML)
        page = self.number(_HTML_CODEPAGE)
        return clean(decode(raw, _codec(page) if page else self._encoding)[0])

    def folders(self, prefix: str) -> list["_Folder"]:
        depth = len(self._path)
        names = {
            entry[depth]
            for entry in self._ole.listdir(streams=False, storages=True)
            if len(entry) == depth + 1 and tuple(entry[:depth]) == self._path and entry[depth].startswith(prefix)
        }
        return [
            _Folder(self._ole, (*self._path, name), "part", self._encoding, self._encoding) for name in sorted(names)
        ]

    def inner_mail(self) -> "_Folder | None":
        path = (*self._path, f"__substg1.0_{_DATA}000D")
        if not self._ole.exists([*path, _PROPERTIES]):
            return None
        return _Folder(self._ole, path, "inner", self._encoding)

    def _stream(self, name: str) -> bytes | None:
        path = [*self._path, name]
        if not self._ole.exists(path) or self._ole.get_type(path) != 2:  # a stream
            return None
        content: bytes = self._ole.openstream(path).read()
        return content

    def _fixed(self, kind: str) -> Iterator[tuple[int, bytes]]:
        """(number, eight bytes) of the properties that have no stream of their own."""
        table = self._stream(_PROPERTIES) or b""
        for at in range(_HEADER_BYTES[kind], len(table) - 15, 16):
            yield struct.unpack_from("<H", table, at + 2)[0], table[at + 8 : at + 16]


def _codec(codepage: int) -> str:
    return "utf-8" if codepage == _UTF8_CODEPAGE else f"cp{codepage}"


def _person(name: str, address: str) -> str:
    name, address = " ".join(name.split()), " ".join(address.split())
    if not name or name == address or "@" not in address:
        return name or address
    return f"{name} <{address}>"


def unpack_rtf(packed: bytes) -> bytes:
    """Unpack what Outlook compresses: runs refer to the last 4,096 bytes, which begin with a text known to both sides.

    Raises:
        ValueError: too short, of an unknown kind, or larger than 20 million bytes.
    """
    if len(packed) < 16:
        raise ValueError("compressed RTF without a header")
    unpacked_bytes, magic = struct.unpack_from("<L", packed, 4)[0], packed[8:12]
    if magic != _RTF_MAGIC:
        return packed[16 : 16 + unpacked_bytes]
    if unpacked_bytes > _MAX_RTF_BYTES:
        raise ValueError("compressed RTF of more than 20,000,000 bytes")
    window = bytearray(_RTF_DICTIONARY)
    begin, at = len(window), 16
    while at < len(packed):
        flags, at = packed[at], at + 1
        for bit in range(8):
            if at >= len(packed) or len(window) - begin > unpacked_bytes:
                return bytes(window[begin : begin + unpacked_bytes])
            if not flags >> bit & 1:
                window.append(packed[at])
                at += 1
                continue
            token = int.from_bytes(packed[at : at + 2], "big")
            at += 2
            back = (len(window) - (token >> 4)) % 4096 or 4096
            if token >> 4 == len(window) % 4096 or back > len(window):
                return bytes(window[begin : begin + unpacked_bytes])  # the end mark
            for _ in range((token & 0xF) + 2):
                window.append(window[-back])
    return bytes(window[begin : begin + unpacked_bytes])
