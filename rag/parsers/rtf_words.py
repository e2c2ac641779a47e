"""What the control words of Rich Text Format stand for."""

from typing import Final

CODECS: Final = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "big5", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874",
    238: "cp1250", 255: "cp437",
}  # fmt: skip
"""By the number of a font's character set."""
CHARACTERS: Final = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“",
    "rdblquote": "”", "bullet": "•", "emspace": " ", "enspace": " ", "qmspace": " ",
}  # fmt: skip
SYMBOLS: Final = {b"~": " ", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}"}
SKIPPED: Final = frozenset(
    {
        "bkmkend", "bkmkstart", "buptim", "category", "colortbl", "comment", "company", "creatim", "doccomm",
        "filetbl", "hlinkbase", "keywords", "manager", "nonesttables", "nonshppict", "operator", "pict", "printim",
        "private", "revtim", "rxe", "shprslt", "sp", "stylerestrictions", "tc", "tcn", "template", "txe", "upr", "xe",
    }
)  # fmt: skip
SINKS: Final = frozenset(
    {
        "annotation", "atnauthor", "author", "fldinst", "fonttbl", "footer", "footerf", "footerl", "footerr",
        "footnote", "header", "headerf", "headerl", "headerr", "listtext", "pntext", "shptxt", "stylesheet", "subject",
        "title",
    }
)  # fmt: skip
"""Groups whose words do not go where the group stands."""
READ_THOUGH_OPTIONAL: Final = frozenset({"annotation", "atnauthor", "fldinst", "shpinst", "shptxt", "ud", "listtext"})
ENDS_OF_PARAGRAPHS: Final = frozenset({"par", "page", "sect", "column"})
