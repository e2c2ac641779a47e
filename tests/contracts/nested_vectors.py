"""Mails, archives, XML, reStructuredText, source code and pictures: one row per file."""

import gzip
import textwrap
from pathlib import Path

from tests.contracts.vector import Vector
from tests.fixtures import make_files as make
from tests.fixtures import nested_files as nested

_HISTORY = "The kitchen has 12 m.\n\nOn Mon, 1 Nov 2026 at 9:00, Bob wrote:\n> How big is it?\n"


def _pdf(folder: Path) -> bytes:
    return make.pdf_file(folder.with_name("inner.pdf"), ["Plan of the house", "Garden side"]).read_bytes()


def _eml(path: Path) -> Path:
    inner = nested.mail("Earlier offer", "We offer 900.", files={"offer.csv": b"item,price\ndoor,900\n"})
    files = {"Übersicht.pdf": _pdf(path), "broken.docx": b"PK\x03\x04 not an archive"}
    message = nested.mail("Größe der Küche", _HISTORY, html="<p>HTML version</p>", files=files, inner=[inner])
    return nested.eml_file(path, message)


def _zip(path: Path) -> Path:
    inner = nested.zip_file(path.with_name("inner.zip"), {"deep/note.md": b"# Deep\n\nnote inside"}).read_bytes()
    members = {
        "docs/plan.pdf": _pdf(path), "in.zip": inner, "../../etc/passwd": b"only a name",
        "prices.csv": b"item,price\ndoor,900\n", "blob.bin": bytes(range(256)) * 20, "__MACOSX/._a": b"clutter",
    }  # fmt: skip
    return nested.zip_file(path, members)


_TAR = {"one.txt": b"Words of one.", "x/two.md": b"# Two\n\nWords of two.", "link": "/etc/passwd"}

_CATALOG = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE catalog [<!ENTITY maker "Paddock">]>
<catalog><!-- not read -->
<book id="bk1"><author>Zoë</author><price currency="EUR">44.95</price><seat><city>Bern</city></seat></book>
<book id="bk2"><title>Second</title><note>made by &maker;</note></book></catalog>"""

_DOCBOOK = """<book xmlns="http://docbook.org/ns/docbook"><info><title>The House</title></info>
<chapter><title>Rooms</title><para>A <emphasis>large</emphasis> kitchen.</para>
<section><title>Doors</title><itemizedlist><listitem><para>front</para></listitem>
<listitem><para>back</para></listitem></itemizedlist></section></chapter></book>"""

_RSS = """<rss version="2.0"><channel><title>News</title><item><title>Open &amp; free</title>
<description>&lt;p&gt;We &lt;b&gt;opened&lt;/b&gt; it.&lt;/p&gt;</description></item></channel></rss>"""

_RST = """
    =========
    The House
    =========

    :author: Ada

    .. _top:
    .. not for readers
       neither this

    Rooms
    =====

    See :ref:`the doors <doors>`.

    .. note:: Mind the step.

    Doors
    -----

    Front.

    .. raw:: html

       <script>bad()</script>

    Garden
    ======

    Green.
    """

_PYTHON = '''
    """def not_this(): in a string"""

    # Holds what was chosen.
    class Basket:
        def add(self, item):
            def inner():
                return item
            return inner

        async def clear(self): ...

    def main():
        return Basket()
    '''

_JAVA = """
    package shop; // class Fake {
    /** About {@code x}. */
    public class Basket<T> extends Base {
        @Override
        public List<String> add(int count, String name) throws Oops {
            if (count > 1) { for (;;) { } }
            return null;
        }
        Basket(int size) { this.text = "class No {"; }
    }
    """


def _text(path: Path, text: str) -> Path:
    return make.text_file(path, textwrap.dedent(text).lstrip("\n"))


NESTED_VECTORS = [
    Vector(
        "mail with attachments",
        "EmailParser",
        "kitchen.eml",
        _eml,
        contains=(
            "Größe der Küche", "From: Zoë Müller <zoe@example.org>\nTo: ada@example.org, Bob <bob@example.net>",
            "12 m.", "How big is it?", "Plan of the house", "Earlier offer", "We offer 900.", "item: door; price: 900",
        ),
        lacks=("HTML version", "\r"),
        pages=(("Plan of the house", 1), ("Garden side", 2)),
        headings=(
            (1, "Größe der Küche"), (2, "On Mon, 1 Nov 2026 at 9:00, Bob wrote:"), (2, "Übersicht.pdf"),
            (2, "Earlier offer"), (2, "offer.csv"),
        ),
        rows=("item: door; price: 900",),
        metadata=(
            ("subject", "Größe der Küche"), ("from", "Zoë Müller <zoe@example.org>"),
            ("date", "2026-11-02T10:00:00+01:00"), ("message_id", "<1@example.org>"),
            ("attachments", "Übersicht.pdf, broken.docx, Earlier offer.eml"),
        ),
        parts=(
            ("attachment", "Übersicht.pdf", "Garden side"), ("attachment", "Earlier offer.eml", "We offer 900."),
            ("attachment", "offer.csv", "item: door"),
        ),
        warnings=("broken.docx",),
    ),
    Vector(
        "mailbox",
        "EmailParser",
        "old.mbox",
        lambda path: nested.mbox_file(path, [nested.mail("First", "One."), nested.mail("Second", "Two.")]),
        contains=("First", "One.", "Second", "Two."),
        headings=((1, "First"), (1, "Second")),
        parts=(("member", "Second (2026-11-02T10:00:00+01:00)", "Two."),),
        metadata=(("mail_count", 2),),
    ),
    Vector(
        "outlook mail",
        "MsgParser",
        "offer.msg",
        lambda path: nested.msg_file(
            path, subject="The offer", body="We offer 900.\r\n", files={"plan.pdf": _pdf(path), "n.txt": b"A note."}
        ),
        contains=(
            "The offer", "From: Zoë Müller <zoe@example.org>\nTo: Bob <bob@example.net>\nCc: Ada <ada@example.org>",
            "Date: 2025-11-03T11:00:00", "We offer 900.", "Plan of the house", "A note.",
        ),
        pages=(("Garden side", 2),),
        headings=((1, "The offer"), (2, "plan.pdf"), (2, "n.txt")),
        parts=(("attachment", "plan.pdf", "Garden side"), ("attachment", "n.txt", "A note.")),
        metadata=(("subject", "The offer"), ("attachments", "plan.pdf, n.txt"), ("message_id", "<1@x>")),
    ),
    Vector(
        "outlook mail in html only",
        "MsgParser",
        "page.msg",
        lambda path: nested.msg_file(path, subject="Prices", html="<p>The <b>door</b> is 900 €.</p>"),
        contains=("Prices", "The door is 900 €."),
        lacks=("<b>", "\x00"),
        headings=((1, "Prices"),),
    ),
    Vector(
        "zip archive",
        "ArchiveParser",
        "house.zip",
        _zip,
        contains=("Plan of the house", "note inside", "only a name", "item: door; price: 900"),
        lacks=("clutter", "..", "\x00"),
        pages=(("Plan of the house", 1), ("Garden side", 2)),
        headings=(
            (1, "docs/plan.pdf"), (1, "in.zip"), (2, "deep/note.md"), (3, "Deep"), (1, "etc/passwd"), (1, "prices.csv"),
        ),
        rows=("item: door; price: 900",),
        parts=(
            ("member", "docs/plan.pdf", "Garden side"), ("member", "in.zip/deep/note.md", "note inside"),
            ("member", "etc/passwd", "only a name"), ("member", "prices.csv", "item: door"),
        ),
        warnings=("blob.bin",),
    ),
    *[
        Vector(
            f"tar archive {packing or 'unpacked'}",
            "ArchiveParser",
            f"house.tar.{packing}".rstrip("."),
            lambda path, packing=packing: nested.tar_file(path, _TAR, packing=packing),
            contains=("Words of one.", "Words of two."),
            lacks=("root:",),
            headings=((1, "one.txt"), (1, "x/two.md"), (2, "Two")),
            parts=(("member", "one.txt", "Words of one."), ("member", "x/two.md", "Words of two.")),
            warnings=("'link' is a link",),
        )
        for packing in ("", "gz", "bz2", "xz")
    ],
    Vector(
        "one packed file",
        "ArchiveParser",
        "note.txt.gz",
        lambda path: nested.written(path, gzip.compress(b"A short note.", mtime=0)),
        contains=("A short note.",),
        headings=((1, "note.txt"),),
        parts=(("member", "note.txt", "A short note."),),
    ),
    Vector(
        "xml of records",
        "XMLParser",
        "catalog.xml",
        lambda path: make.text_file(path, _CATALOG),
        contains=(
            "book: id: bk1\nauthor: Zoë\nprice (currency: EUR): 44.95\nseat.city: Bern", "Second", "made by Paddock",
        ),
        lacks=("not read", "<"),
        headings=((2, "Second"),),
        metadata=(("xml_root", "catalog"),),
    ),
    Vector(
        "docbook",
        "XMLParser",
        "house.dbk",
        lambda path: make.text_file(path, _DOCBOOK),
        contains=("The House", "Rooms", "A large kitchen.", "Doors", "front\nback"),
        lacks=("para", "<"),
        headings=((1, "The House"), (2, "Rooms"), (3, "Doors")),
    ),
    Vector(
        "news feed",
        "XMLParser",
        "news.rss",
        lambda path: make.text_file(path, _RSS),
        contains=("News", "Open & free", "description: We opened it."),
        lacks=("<p>", "&lt;"),
        headings=((1, "News"), (2, "Open & free")),
    ),
    Vector(
        "restructured text",
        "RSTParser",
        "house.rst",
        lambda path: _text(path, _RST),
        contains=("The House", ":author: Ada", "See the doors.", "Mind the step.", "Front.", "Green."),
        lacks=("not for readers", "neither this", "bad()", "====", "_top"),
        headings=((1, "The House"), (2, "Rooms"), (3, "Doors"), (2, "Garden")),
        metadata=(("author", "Ada"),),
    ),
    Vector(
        "python",
        "CodeParser",
        "shop.py",
        lambda path: _text(path, _PYTHON),
        contains=('"""def not_this(): in a string"""', "        def inner():"),
        headings=((1, "Basket"), (2, "add"), (2, "clear"), (1, "main")),
        metadata=(("language", "Python"),),
    ),
    Vector(
        "java",
        "CodeParser",
        "Basket.java",
        lambda path: _text(path, _JAVA),
        contains=("public class Basket<T>", "for (;;)"),
        headings=((1, "Basket"), (2, "add"), (2, "Basket")),
        metadata=(("language", "Java"),),
    ),
    *[
        Vector(
            f"picture of text as {kind}",
            "ImageParser",
            f"scan.{kind.lower()}",
            lambda path, kind=kind: nested.text_picture(path, ["Invoice total", "nine hundred"], image_format=kind),
            contains=("Invoice total", "nine hundred"),
            pages=(("Invoice total", 1),),
            needs="tesseract",
        )
        for kind in ("PNG", "JPEG", "TIFF", "WEBP")
    ],
    Vector(
        "scan of two pages",
        "ImageParser",
        "scan.tif",
        lambda path: nested.text_picture(path, ["Invoice total"], image_format="TIFF", page_count=2),
        contains=("Invoice total", "Invoice total"),
        pages=(("Invoice total", 1), ("Invoice total", 2)),
        needs="tesseract",
    ),
]  # fmt: skip
