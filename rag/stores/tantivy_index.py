"""One Tantivy index of (number, text, place): the only module that names the package."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tantivy

from rag.stores.journal import Row
from rag.stores.lexical import spaced

HEAP_BYTES = 15_000_000
"""The least that a writer takes."""
TOKENIZER = "paddock"
FIELDS = ["text", "place"]
BOOSTS = {"place": 0.5}
"""File name and headings count half of the text."""


class TantivyIndex:
    """Reading is thread-safe; writers must be kept apart by the caller. Whatever fails is a ValueError.

    Args:
        folder: of an index, or an empty one, which becomes one; None keeps everything in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field("n", indexed=True, fast=True)
        for field in FIELDS:
            builder.add_text_field(field, tokenizer_name=TOKENIZER)
        self._schema = builder.build()
        self._index = tantivy.Index(self._schema, path=None if folder is None else str(folder))
        self._index.register_tokenizer(TOKENIZER, word_analyzer())

    @staticmethod
    def is_in(folder: Path) -> bool:
        return (folder / "meta.json").is_file()

    def write(self, rows: Iterable[Row], replaced: Sequence[int] = ()) -> None:
        """Remove the numbers `replaced`, add `rows`, commit, and wait until small segments are merged."""
        writer = self._index.writer(HEAP_BYTES, 1)
        for number in replaced:
            writer.delete_documents_by_term("n", number)
        for number, text, place in rows:
            writer.add_document(tantivy.Document(n=number, text=spaced(text), place=spaced(place)))
        writer.commit()
        writer.wait_merging_threads()
        self.reload()

    def reload(self) -> None:
        """See what others have committed."""
        self._index.reload()

    def search(self, expression: str, limit: int, among: Sequence[int] | None) -> list[tuple[int, float]]:
        """Numbers with their BM25, best first; `among` are the numbers that may be returned, None for all."""
        parsed = self._index.parse_query(spaced(expression), FIELDS, field_boosts=BOOSTS)
        if among is not None:
            allowed = tantivy.Query.term_set_query(self._schema, "n", list(among))
            unweighted = tantivy.Query.const_score_query(allowed, 0.0)
            parsed = tantivy.Query.boolean_query([(tantivy.Occur.Must, parsed), (tantivy.Occur.Must, unweighted)])
        searcher = self._index.searcher()
        hits: list[tuple[Any, Any]] = searcher.search(parsed, limit, count=False).hits
        numbers = searcher.fast_field_values("n", [address for _, address in hits])
        found = [(int(number or 0), float(bm25)) for number, (bm25, _) in zip(numbers, hits, strict=True)]
        return sorted(found, key=lambda each: (-each[1], each[0]))

    def count(self) -> int:
        return int(self._index.searcher().num_docs)


def word_analyzer() -> "tantivy.TextAnalyzer":
    """Words without case, accents and English endings."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for each in (tantivy.Filter.lowercase(), tantivy.Filter.ascii_fold(), tantivy.Filter.stemmer("english")):
        builder = builder.filter(each)
    return builder.build()
