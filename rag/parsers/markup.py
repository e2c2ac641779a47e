"""XML inside of archives: parsed without entities, networks and document types, large parts piece by piece."""

from collections.abc import Collection, Iterator
from typing import IO, Any, Final

from lxml import etree

from rag.errors import LimitExceededError

_MAX_TREE_BYTES: Final = 100_000_000


def parse_markup(content: bytes) -> Any:
    """The root element; raises XMLSyntaxError (a SyntaxError) for what is not well-formed.

    Only for parts that are small in every real file: a tree takes several times the memory of its text.
    """
    if len(content) > _MAX_TREE_BYTES:
        raise LimitExceededError(
            f"a part of the file is {len(content):,} bytes of XML, more than the {_MAX_TREE_BYTES:,} that are read at "
            "once; split the file"
        )
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    return etree.fromstring(content, parser)


def children_of(stream: IO[bytes], parent: str, tags: Collection[str]) -> Iterator[Any]:
    """The children of every `parent` element that have one of `tags`, each as soon as it is complete.

    A child is emptied when the next one is asked for: the whole part is never in memory as a tree.
    """
    events = etree.iterparse(
        stream, events=("end",), tag=tuple(tags), resolve_entities=False, no_network=True, remove_comments=True,
        remove_pis=True,
    )  # fmt: skip
    for _event, element in events:
        holder = element.getparent()
        if holder is None or holder.tag != parent:
            continue
        yield element
        element.clear()
        while element.getprevious() is not None:
            del holder[0]


def linked(text: str, url: str | None) -> str:
    """The words of a link with its address, in Markdown; only the words where they say it or it leads nowhere else."""
    shown = text.strip()
    if not shown or not (url or "").lower().startswith(("http://", "https://", "mailto:", "ftp://")):
        return text
    address = "".join((url or "").split()).replace(")", "%29")
    bare = address.removeprefix("mailto:").rstrip("/")
    if bare in shown or shown in {bare.removeprefix("https://"), bare.removeprefix("http://")} or "](" in shown:
        return text
    return text.replace(shown, f"[{shown}]({address})", 1)
