"""Files that were made to hurt: what each is called, how it is written, and what its error has to say."""

import bz2
import gzip
import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures import make_files as make
from tests.fixtures import nested_files as nested
from tests.fixtures import office_files as office

SECRET = "the-secret-of-this-machine"
_ZEROS = bytes(80_000_000)
_LAUGHS = '<!DOCTYPE x [<!ENTITY a "lol">' + "".join(
    f'<!ENTITY {chr(98 + depth)} "{f"&{chr(97 + depth)};" * 10}">' for depth in range(9)
)
_BLOWUP = f'<!DOCTYPE x [<!ENTITY j "{"b" * 100_000}">'


@dataclass(frozen=True)
class Hostile:
    """`says`: what the error must hold; None where it may also be read."""

    id: str
    filename: str
    write: Callable[[Path], object]
    says: str | None = None


def _bytes(content: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content())


def _text(content: Callable[[], str]) -> Callable[[Path], object]:
    return lambda path: path.write_text(content(), encoding="utf-8", newline="")


# -- archives -----------------------------------------------------------------------------------------------------


def _zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _nested_zips() -> bytes:
    content = _zipped({"zeros.txt": bytes(20_000_000)})
    for _ in range(3):
        content = _zipped({f"{number}.zip": content for number in range(8)})
    return content


def _lying_zip() -> bytes:
    content = _zipped({"zeros.txt": _ZEROS})
    return content.replace(struct.pack("<L", len(_ZEROS)), struct.pack("<L", 100))


def _overlapping_zip() -> bytes:
    """Many entries of the directory point to the same packed bytes."""
    content = _zipped({"a.txt": b"word " * 200_000})
    at = content.index(b"PK\x01\x02")
    entry, end = content[at : content.index(b"PK\x05\x06")], content[content.index(b"PK\x05\x06") :]
    count = 5_000
    tail = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, count, count, len(entry) * count, at, 0)
    assert len(tail) == len(end)
    return content[:at] + entry * count + tail


def _many_entries() -> bytes:
    entry = _zipped({"a": b""})
    at = entry.index(b"PK\x01\x02")
    one, count = entry[at : entry.index(b"PK\x05\x06")], 2_000_000
    wide = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(one) * count, at)
    where = struct.pack("<4sLQL", b"PK\x06\x07", 0, at + len(one) * count, 1)
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    return entry[:at] + one * count + wide + where + end


def _locked_zip() -> bytes:
    content = bytearray(_zipped({"a.txt": b"words"}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def _shuffled_directory(content: bytes) -> bytes:
    at, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    return content[:at] + content[at:end][::-1] + content[end:]


def _tar_of_tricks() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind in (
            ("/etc/shadow", tarfile.SYMTYPE),
            ("../up", tarfile.LNKTYPE),
            ("dev", tarfile.CHRTYPE),
            ("pipe", tarfile.FIFOTYPE),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
        entry = tarfile.TarInfo("/../../tmp/escaped.txt")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"words"))
    return packed.getvalue()


def _huge_tar_header() -> bytes:
    entry = tarfile.TarInfo("pax")
    entry.type, entry.size = tarfile.XHDTYPE, 8_000_000_000
    return entry.tobuf(tarfile.GNU_FORMAT) + bytes(10_000)


def _patched_xz() -> bytes:
    """Claims a dictionary of 3 GB."""
    content = bytearray(lzma.compress(b"words " * 10))
    header = content[12:24]
    place = 12 + header.index(0x21) + 2  # the dictionary's size, in one byte
    content[place] = 39
    content[20:24] = struct.pack("<L", zlib.crc32(bytes(content[12:20])))
    return bytes(content)


ARCHIVES = [
    Hostile("zip of zeros", "a.zip", _bytes(lambda: _zipped({"z.txt": _ZEROS})), "LF_MAX_COMPRESSION_RATIO"),
    Hostile("zips in zips in zips", "a.zip", _bytes(_nested_zips), "LF_MAX_"),
    Hostile("zip that lies about a size", "a.zip", _bytes(_lying_zip)),
    Hostile("zip whose entries overlap", "a.zip", _bytes(_overlapping_zip), "LF_MAX_"),
    Hostile("zip of two million entries", "a.zip", _bytes(_many_entries), "LF_MAX_ARCHIVE_ENTRIES"),
    Hostile("zip behind a password", "a.zip", _bytes(_locked_zip), "password required"),
    Hostile(
        "zip with a shuffled directory",
        "a.zip",
        _bytes(lambda: _shuffled_directory(_zipped({"a.txt": b"w"}))),
        "damaged",
    ),
    Hostile("zip of a file without a name", "a.zip", _bytes(lambda: _zipped({"qz": b"words"}).replace(b"qz", b"\0z"))),
    Hostile("zip of nothing", "a.zip", _bytes(lambda: _zipped({})), "no files"),
    Hostile("gzip bomb", "a.txt.gz", _bytes(lambda: gzip.compress(_ZEROS)), "LF_MAX_COMPRESSION_RATIO"),
    Hostile("bzip2 bomb", "a.txt.bz2", _bytes(lambda: bz2.compress(_ZEROS)), "LF_MAX_COMPRESSION_RATIO"),
    Hostile("xz bomb", "a.txt.xz", _bytes(lambda: lzma.compress(_ZEROS)), "LF_MAX_COMPRESSION_RATIO"),
    Hostile("xz that wants gigabytes", "a.txt.xz", _bytes(_patched_xz), "damaged"),
    Hostile("tar with links, devices and roots", "a.tar", _bytes(_tar_of_tricks)),
    Hostile("tar with a header of 8 GB", "a.tar", _bytes(_huge_tar_header), "damaged"),
    Hostile("half a gzip", "a.txt.gz", _bytes(lambda: gzip.compress(bytes(range(256)) * 400)[:200])),
    Hostile("bzip2 of junk", "a.bz2", _bytes(lambda: b"BZh9" + bytes(range(256)) * 10), "damaged"),
]

# -- XML in every format that is made of it -----------------------------------------------------------------------


def _office_files() -> dict[str, tuple[Callable[[Path], object], str]]:
    """Filename → how a good one is written, and the part that holds its words."""
    return {
        "a.docx": (lambda path: make.docx_file(path, ["Plain words here"]), "word/document.xml"),
        "a.xlsx": (lambda path: make.xlsx_file(path, {"One": [["Name"], ["Plain words"]]}), "xl/worksheets/sheet1.xml"),
        "a.pptx": (office.pptx_file, "ppt/slides/slide1.xml"),
        "a.odt": (lambda path: office.odf_file(path, "text", "<text:p>Plain words</text:p>"), "content.xml"),
        "a.ods": (
            lambda path: office.odf_file(path, "spreadsheet", office.ods_sheet("One", [["Name"], ["Plain words"]])),
            "content.xml",
        ),
        "a.epub": (office.epub_file, "OEBPS/text/two.xhtml"),
    }


def _with_entity(name: str, declared: str, used: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        good, part = _office_files()[name]
        good(path)
        with zipfile.ZipFile(path) as archive:
            parts = {each: archive.read(each) for each in archive.namelist()}
        text = parts[part].decode()
        text = re.sub(r"^(<\?xml[^>]*\?>)?", lambda found: (found[0] or "") + declared, text, count=1)
        text, count = re.subn(r">([A-Z][A-Za-z ]{2,})<", f">{used}<", text, count=1)
        assert count == 1, "the entity stands where words stood"
        parts[part] = text.encode()
        mimetype = parts.pop("mimetype", b"").decode()
        office.zip_file(path, dict(parts), mimetype=mimetype)

    return write


def _plain_xml(declared: str, used: str) -> Callable[[Path], object]:
    return _text(lambda: f'<?xml version="1.0"?>{declared}<x><t>before {used} after</t></x>')


def xml_attacks(secret: Path) -> list[Hostile]:
    outside = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">'
    network = '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd" [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p"> %p;'
    attacks = {
        "billion laughs": (_LAUGHS + "]>", "&j;"),
        "quadratic blow-up": (_BLOWUP + "]>", "&j;" * 20_000),
        "a file of this machine": (outside + "]>", "&e;"),
        "the network": (network + "]>", "words"),
        "an entity in itself": ('<!DOCTYPE x [<!ENTITY e "&f;"><!ENTITY f "&e;">]>', "&e;"),
    }
    found = []
    for title, (declared, used) in attacks.items():
        found += [Hostile(f"{title} in {name}", name, _with_entity(name, declared, used)) for name in _office_files()]
        found += [Hostile(f"{title} in {name}", name, _plain_xml(declared, used)) for name in ("a.xml", "a.svg")]
    return found


def _locked_office() -> bytes:
    return nested.ole_bytes({"EncryptionInfo": bytes(300), "EncryptedPackage": bytes(5_000)})


def _with_macros(path: Path) -> None:
    make.docx_file(path, ["Words beside a macro"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("word/vbaProject.bin", b"Attribute VB_Name" * 50)


def _broken_office(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        _office_files()[name][0](path)
        path.write_bytes(change(path.read_bytes()))

    return write


OFFICE = [
    *[
        Hostile(
            f"{name} bomb", name, _broken_office(name, lambda content: _add_bomb(content)), "LF_MAX_COMPRESSION_RATIO"
        )
        for name in _office_files()
    ],
    *[
        Hostile(f"{name} with a shuffled directory", name, _broken_office(name, _shuffled_directory), "damaged")
        for name in _office_files()
    ],
    *[
        Hostile(f"{name} without its middle", name, _broken_office(name, lambda content: content[:200] + content[400:]))
        for name in _office_files()
    ],
    *[
        Hostile(
            f"{name} of zeros behind its head",
            name,
            _broken_office(name, lambda content: content[:64] + bytes(len(content))),
        )
        for name in _office_files()
    ],
    *[
        Hostile(f"{kind} behind a password", f"a.{kind}", _bytes(_locked_office), "password")
        for kind in ("docx", "xlsx", "pptx")
    ],
    Hostile("word file with macros", "a.docm", _with_macros),
    Hostile("rtf of open groups", "a.rtf", _text(lambda: "{\\rtf1 " + "{" * 200_000 + "words")),
    Hostile(
        "rtf with huge numbers",
        "a.rtf",
        _text(lambda: "{\\rtf1\\ansi \\u99999999999999999999? \\bin99999999999 words}"),
    ),
    Hostile("ole of nothing", "a.xls", _bytes(lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5_000))),
    Hostile(
        "workbook that is cut off",
        "a.xls",
        lambda path: path.write_bytes(office.xls_file(path, {"A": [["n"], ["w"]]}).read_bytes()[:2_000]),
    ),
]


def _add_bomb(content: bytes) -> bytes:
    packed = io.BytesIO(content)
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/media/bomb.xml", _ZEROS)
    return packed.getvalue()


# -- PDF ----------------------------------------------------------------------------------------------------------


def _pdf(*objects: str, trailer: str = "", start: int | None = None) -> bytes:
    content, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = len(content)
    content += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    content += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    content += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\n".encode()
    return content + f"startxref\n{table if start is None else start}\n%%EOF".encode()


_CATALOG = "<< /Type /Catalog /Pages 2 0 R >>"
_PAGE = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R >>"

PDFS = [
    Hostile(
        "page tree that holds itself",
        "a.pdf",
        _bytes(lambda: _pdf(_CATALOG, "<< /Type /Pages /Count 3 /Kids [2 0 R 2 0 R] >>")),
    ),
    Hostile(
        "two billion pages",
        "a.pdf",
        _bytes(lambda: _pdf(_CATALOG, "<< /Type /Pages /Count 2147483647 /Kids [3 0 R] >>", _PAGE)),
    ),
    Hostile(
        "table of objects that follows itself",
        "a.pdf",
        _bytes(lambda: _pdf(_CATALOG, "<< /Type /Pages /Count 1 /Kids [3 0 R] >>", _PAGE, trailer="/Prev 9")),
    ),
    Hostile(
        "object that is its own length",
        "a.pdf",
        _bytes(
            lambda: _pdf(
                _CATALOG,
                "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
                _PAGE,
                "<< /Length 4 0 R >>\nstream\nBT ET\nendstream",
            )
        ),
    ),
    Hostile(
        "arrays in arrays",
        "a.pdf",
        _bytes(
            lambda: _pdf(
                _CATALOG, "<< /Type /Pages /Count 1 /Kids " + "[" * 50_000 + "3 0 R" + "]" * 50_000 + " >>", _PAGE
            )
        ),
    ),
    Hostile(
        "form that draws itself",
        "a.pdf",
        _bytes(
            lambda: _pdf(
                _CATALOG,
                "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
                _PAGE.replace(">>", "/Resources << /XObject << /F 5 0 R >> >> >>"),
                "<< /Length 5 >>\nstream\n/F Do\nendstream",
                "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F 5 0 R >> >> "
                "/Length 5 >>\nstream\n/F Do\nendstream",
            )
        ),
    ),
    Hostile(
        "outline that goes round",
        "a.pdf",
        _bytes(
            lambda: _pdf(
                "<< /Type /Catalog /Pages 2 0 R /Outlines 5 0 R >>",
                "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
                _PAGE,
                "<< /Length 44 >>\nstream\nBT /F1 12 Tf (words) Tj ET                   \nendstream",
                "<< /First 6 0 R /Last 6 0 R >>",
                "<< /Title (x) /Parent 5 0 R /Next 6 0 R /First 5 0 R >>",
            )
        ),
    ),
    Hostile("packed stream of zeros", "a.pdf", _bytes(lambda: _pdf_bomb())),
    Hostile("pdf behind a password", "a.pdf", lambda path: make.encrypted_pdf_file(path, ["Secret"]), "password"),
]


def _pdf_bomb() -> bytes:
    packed = zlib.compress(b"(w) Tj " * 10_000_000, 9).decode("latin-1")
    pages = "<< /Type /Pages /Count 1 /Kids [3 0 R] >>"
    stream = f"<< /Filter /FlateDecode /Length {len(packed)} >>\nstream\n{packed}\nendstream"
    return _pdf(_CATALOG, pages, _PAGE, stream)


# -- text ---------------------------------------------------------------------------------------------------------

_LINE = "word " * 2_000_000
TEXTS = [
    *[
        Hostile(f"one line of 10 MB in {name}", name, _text(lambda: _LINE))
        for name in (
            "a.txt",
            "a.md",
            "a.rst",
            "a.py",
            "a.java",
            "a.js",
            "a.html",
            "a.csv",
            "a.tsv",
            "a.json",
            "a.jsonl",
            "a.xml",
            "a.eml",
            "a.sql",
        )
    ],
    Hostile("one string of 10 MB in json", "a.json", _text(lambda: f'{{"a": "{_LINE}"}}')),
    Hostile("one element of 9 MB in xml", "a.xml", _text(lambda: f"<a><b>{_LINE[:9_000_000]}</b></a>")),
    Hostile("an attribute of 10 MB in xml", "a.xml", _text(lambda: f'<a><b c="{_LINE}">d</b></a>')),
    Hostile("xml of 100,000 levels", "a.xml", _text(lambda: "<a>" * 100_000 + "w" + "</a>" * 100_000), "nest"),
    Hostile("html of 100,000 levels", "a.html", _text(lambda: "<div>" * 100_000 + "words"), "nest"),
    Hostile("json of 100,000 levels", "a.json", _text(lambda: "[" * 100_000 + "]" * 100_000), "nested"),
    Hostile("json of 100,000 open levels", "a.json", _text(lambda: '{"a":' * 100_000)),
    Hostile("json of a number of a million digits", "a.json", _text(lambda: f'{{"a": {"9" * 1_000_000}}}')),
    Hostile(
        "csv of 100,000 columns",
        "a.csv",
        _text(lambda: "\n".join([",".join(f"c{n}" for n in range(100_000))] + [",".join(["1"] * 100_000)] * 20)),
    ),
    Hostile("csv with NULs", "a.csv", _bytes(lambda: b"name,city\nAda\0,Be\0rn\n" * 100)),
    Hostile("csv of an open quote", "a.csv", _text(lambda: 'a,b\n1,"' + "x\n" * 3_000_000)),
    Hostile(
        "text in several encodings",
        "a.txt",
        _bytes(lambda: ("Größe\n".encode() + "Größe\n".encode("cp1252") + "語\n".encode("shift_jis")) * 1000),
    ),
    Hostile("text of broken surrogates", "a.txt", _bytes(lambda: b"\xff\xfe" + b"a\0\x00\xd8b\0" * 1000)),
    Hostile("markdown of open brackets", "a.md", _text(lambda: "[" * 1_000_000)),
    Hostile("code of open braces", "a.java", _text(lambda: "{" * 500_000)),
    *[
        Hostile(f"code of {junk.strip()!r} in {name}", name, _text(lambda junk=junk: junk * 100_000))
        for junk in ("class ", ")\n", "@a(", "impl ", "{}", "a(){", "x\n{")
        for name in ("a.java", "a.rs")
    ],
    Hostile("code of open comments", "a.js", _text(lambda: "/*" * 1_000_000)),
    Hostile("python of open strings", "a.py", _text(lambda: '"""' * 700_001)),
    Hostile("rst of adornments", "a.rst", _text(lambda: "==\n" * 300_000)),
    Hostile(
        "xml in an encoding that is none", "a.xml", _text(lambda: '<?xml version="1.0" encoding="nonsense"?><a>b</a>')
    ),
    Hostile(
        "xml of 100,000 attributes",
        "a.xml",
        _text(lambda: "<a>" + "".join(f'<b c{n}="{n}"/>' for n in range(100_000)) + "</a>"),
    ),
    Hostile("css and tags that never end", "a.html", _text(lambda: "<style>" + "a{" * 1_000_000)),
]

# -- mail ---------------------------------------------------------------------------------------------------------


def _nested_multiparts(count: int) -> str:
    opened = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(count))
    return f"From: a@b.org\nSubject: deep\n{opened}Content-Type: text/plain\n\nwords\n"


def _nested_mails(count: int) -> str:
    return (
        "From: a@b.org\nSubject: deep\nContent-Type: message/rfc822\n\n" * count
        + "From: c@d.org\nSubject: end\n\nwords\n"
    )


def _many_parts(count: int) -> str:
    part = '--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename="a.bin"\n\nx\n'
    return f'From: a@b.org\nSubject: many\nContent-Type: multipart/mixed; boundary="b"\n\n{part * count}--b--\n'


def _cyclic_msg() -> bytes:
    """The table of sectors sends every sector to itself."""
    content = bytearray(nested.ole_bytes({"__properties_version1.0": bytes(32), "__substg1.0_1000001F": bytes(9_000)}))
    table = len(content) - 512
    content[table:] = b"".join(struct.pack("<L", number) for number in range(128))
    return bytes(content)


MAILS = [
    Hostile("10,000 multiparts in each other", "a.eml", _text(lambda: _nested_multiparts(10_000))),
    Hostile("5,000 mails in each other", "a.eml", _text(lambda: _nested_mails(5_000))),
    Hostile("30,000 attachments", "a.eml", _text(lambda: _many_parts(30_000)), "LF_MAX_ARCHIVE_ENTRIES"),
    Hostile("header of 10 MB", "a.eml", _text(lambda: f"From: a@b.org\nSubject: {_LINE}\n\nwords")),
    Hostile(
        "addresses of 5 MB", "a.eml", _text(lambda: "From: a@b.org\nTo: " + "(" * 5_000_000 + "\nSubject: x\n\nwords")
    ),
    Hostile(
        "200,000 headers", "a.eml", _text(lambda: "From: a@b.org\nSubject: x\n" + "X-A: b\n" * 200_000 + "\nwords")
    ),
    Hostile(
        "an encoding that is none",
        "a.eml",
        _text(
            lambda: (
                "From: a@b.org\nSubject: =?none?Q?x?= =?utf-8?B?!?=\nContent-Type: text/plain; charset=none\n"
                "Content-Transfer-Encoding: none\n\nwords"
            )
        ),
    ),
    Hostile(
        "a date that is none",
        "a.eml",
        _text(lambda: "From: a@b.org\nSubject: x\nDate: Mon, 99 Foo 99999999999 25:61\n\nwords"),
    ),
    Hostile(
        "a bomb attached",
        "a.eml",
        lambda path: nested.eml_file(path, nested.mail("x", "words", files={"a.zip": _zipped({"z.txt": _ZEROS})})),
        "LF_MAX_COMPRESSION_RATIO",
    ),
    Hostile("outlook mail of rings", "a.msg", _bytes(_cyclic_msg)),
    Hostile(
        "outlook mail that is cut off",
        "a.msg",
        lambda path: path.write_bytes(nested.msg_file(path, subject="x", body="y").read_bytes()[:3_000]),
    ),
]

# -- pictures -----------------------------------------------------------------------------------------------------


def _png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    header = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _endless_tiff() -> bytes:
    """One directory that names itself as the next."""
    tags = [
        (256, 3, 1, 8),
        (257, 3, 1, 8),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (278, 3, 1, 8),
        (279, 4, 1, 64),
    ]
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHLL", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<L", 8) + table + struct.pack("<L", 8) + bytes(64)


PICTURES = [
    Hostile("picture of ten billion pixels", "a.png", _bytes(lambda: _png(100_000, 100_000)), "pixels"),
    Hostile("picture of a hundred million pixels", "a.png", _bytes(lambda: _png(10_000, 10_000)), "pixels"),
    Hostile("picture without data", "a.png", _bytes(lambda: _png(100, 100)), "damaged"),
    Hostile(
        "picture that is cut off",
        "a.jpg",
        lambda path: path.write_bytes(nested.text_picture(path, ["x"], image_format="JPEG").read_bytes()[:900]),
        "damaged",
    ),
    Hostile("tiff that goes round", "a.tif", _bytes(_endless_tiff)),
    Hostile("gif of nothing", "a.gif", _bytes(lambda: b"GIF89a" + bytes(50)), "damaged"),
]

HOSTILE = [*ARCHIVES, *OFFICE, *PDFS, *TEXTS, *MAILS, *PICTURES]
