"""What hits grow into, over the memory store."""

from typing import Any

import numpy as np
import pytest

from rag.chunkers import chunkers
from rag.chunkers.tokens import EstimatedCounter
from rag.expanders import expanders
from rag.filters import Filter, parse_filter
from rag.gaps import MAX_GAP_CHARS
from rag.parsers import parsers
from rag.pipelines.ingest import FileIdentity, ParseRoute, build_metadata
from rag.places import place_of
from rag.stores import stores
from rag.stores.base import Store, StoreIdentity
from rag.types import Document, Hit, Record, Scalar, record_id

FILE, GENERATION = "docs/abc", "g1"
SENTENCES = [f"Sentence {number} of the file." for number in range(12)]
TEXT = "\n\n".join(SENTENCES)


def place(number: int) -> tuple[int, int]:
    start = TEXT.index(SENTENCES[number])
    return start, start + len(SENTENCES[number])


def metadata_of(number: int) -> dict[str, Scalar]:
    start, end = place(number)
    first, last = number // 4 * 4, number // 4 * 4 + 3
    return {
        "chunk_index": number,
        "char_start": start,
        "char_end": end,
        "page_number": number // 3 + 1,
        "page_start": number // 3 + 1,
        "page_end": number // 3 + 1,
        "token_count": 6,
        "sheet": "one" if number < 8 else "two",
        "parent_start": place(first)[0],
        "parent_end": place(last)[1],
        "chunk_strategy": "sentences",
        "colour": "red" if number % 5 else "blue",
    }


@pytest.fixture
def store() -> Store:
    built = stores.build("MemoryStore", {}, identity=StoreIdentity("n", "p", "d", "m", 2))
    vector = np.array([1.0, 0.0], dtype=np.float32)
    built.upsert(
        [
            Record(record_id(FILE, GENERATION, n), SENTENCES[n], vector, FILE, GENERATION, metadata_of(n))
            for n in range(len(SENTENCES))
        ]
    )
    return built


def hit(number: int, score: float = 0.5, **changes: Any) -> Hit:
    metadata = {**metadata_of(number), **changes}
    return Hit(record_id(FILE, GENERATION, number), SENTENCES[number], score, FILE, GENERATION, metadata)


def expand(
    name: str, store: Store, hits: list[Hit], limit: int = 10, where: Filter | None = None, **options: int
) -> list[Hit]:
    return expanders.build(name, options, store=store).expand(hits, limit=limit, where=where or Filter())


def test_neighbours_are_joined_as_they_stand_in_the_file(store: Store) -> None:
    [grown] = expand("neighbours", store, [hit(5)], before=1, after=2)
    start, end = place(4)[0], place(7)[1]
    assert grown.text == TEXT[start:end]
    facts = {key: grown.metadata[key] for key in ("char_start", "char_end", "page_start", "page_end", "expanded")}
    assert facts == {"char_start": start, "char_end": end, "page_start": 2, "page_end": 3, "expanded": True}
    [later] = expand("neighbours", store, [hit(7)], before=2, after=0)
    assert [later.metadata[key] for key in ("page_number", "page_start", "page_end")] == [3, 2, 3]
    assert place_of(later.metadata) == "sheet 'one', page 3"
    assert (grown.metadata["match_start"], grown.metadata["match_end"]) == place(5)
    assert (grown.id, grown.score) == (hit(5).id, 0.5)
    assert "token_count" not in grown.metadata


def test_neighbours_stop_at_the_ends_of_the_file_and_of_a_part(store: Store) -> None:
    first, part_end = expand("neighbours", store, [hit(0), hit(7)], before=2, after=2)
    assert first.text == TEXT[: place(2)[1]]
    assert part_end.text == TEXT[place(5)[0] : place(7)[1]]


def test_hits_that_grow_into_each_other_become_the_better_one(store: Store) -> None:
    grown = expand("neighbours", store, [hit(1, 0.9), hit(5, 0.8), hit(3, 0.7)], before=1, after=1)
    assert [(each.id, each.score) for each in grown] == [(hit(1).id, 0.9)]
    assert grown[0].text == TEXT[: place(6)[1]]


def test_repeated_overlap_stands_once(store: Store) -> None:
    start, end = place(0)[0], place(1)[1]
    text = TEXT[start:end]
    overlapping = Record(
        record_id("docs/o", GENERATION, 1), text[10:], np.ones(2, dtype=np.float32), "docs/o", GENERATION,
        {"chunk_index": 1, "char_start": 10, "char_end": end},
    )  # fmt: skip
    store.upsert([overlapping])
    own = Hit(record_id("docs/o", GENERATION, 0), text[:20], 0.5, "docs/o", GENERATION,
              {"chunk_index": 0, "char_start": 0, "char_end": 20})  # fmt: skip
    assert expand("neighbours", store, [own])[0].text == text


def test_a_filter_holds_for_neighbours_too(store: Store) -> None:
    [grown] = expand("neighbours", store, [hit(4)], before=3, after=3, where=parse_filter({"colour": "red"}))
    assert grown.text == TEXT[place(1)[0] : place(4)[1]]


def test_the_parent_stands_in_place_of_its_chunks(store: Store) -> None:
    grown = expand("parent", store, [hit(6, 0.9), hit(4, 0.8), hit(9, 0.7)])
    assert [each.text for each in grown] == [TEXT[place(4)[0] : place(7)[1]], TEXT[place(8)[0] :]]
    assert (grown[0].metadata["char_start"], grown[0].metadata["char_end"]) == (place(4)[0], place(7)[1])


def test_a_long_parent_is_shortened_around_the_match(store: Store) -> None:
    [grown] = expand("parent", store, [hit(7)], max_chars=80)
    assert grown.text == TEXT[place(5)[0] : place(7)[1]]


def test_a_parent_of_many_chunks_is_found_whole(store: Store) -> None:
    words = [f"w{number:03}" for number in range(150)]
    text = " ".join(words)
    store.upsert(
        [
            Record(
                record_id("docs/long", GENERATION, n), word, np.ones(2, dtype=np.float32), "docs/long", GENERATION,
                {"chunk_index": n, "char_start": 5 * n, "char_end": 5 * n + 4, "parent_start": 0, "parent_end": 749},
            )
            for n, word in enumerate(words)
        ]
    )  # fmt: skip
    found = store.by_ids([record_id("docs/long", GENERATION, 70)], where=Filter())
    record = next(iter(found.values()))
    own = Hit(record.id, record.text, 0.5, record.file_key, GENERATION, record.metadata)
    assert expand("parent", store, [own])[0].text == text


def test_chunks_without_a_parent_or_a_place_stay_as_they_are(store: Store) -> None:
    orphan = hit(5, parent_start=None)
    foreign = Hit("foreign", "Text.", 0.4, "docs/x", "g", {"title": "of another program"})
    assert expand("parent", store, [orphan, foreign]) == [orphan, foreign]
    assert expand("neighbours", store, [foreign]) == [foreign]


@pytest.mark.parametrize("name", list(expanders))
def test_limit_and_emptiness_hold_for_every_expander(name: str, store: Store) -> None:
    assert expand(name, store, []) == []
    assert expand(name, store, [hit(0)], limit=0) == []
    assert [each.id for each in expand(name, store, [hit(0), hit(9)], limit=1)] == [hit(0).id]


@pytest.mark.parametrize(
    "text", ["# Title\n\nOne is here.| Two is here.", "line 1 ok\nline 2 ok|\nline 3 ok", "| 1 | 2 |^\n| 3 | 4 |"]
)
def test_what_stood_between_chunks_is_put_back(text: str, store: Store) -> None:
    mark = "^" if "^" in text else "|"
    first, second = text.split(mark)
    whole = first + second
    for index, (start, end) in enumerate([(0, len(first)), (len(first) + 1, len(whole))]):
        metadata: dict[str, Scalar] = {"chunk_index": index, "char_start": start, "char_end": end}
        key = record_id("docs/gap", GENERATION, index)
        store.upsert([Record(key, whole[start:end], np.ones(2, dtype=np.float32), "docs/gap", GENERATION, metadata)])
    facts: dict[str, Scalar] = {"chunk_index": 0, "char_start": 0, "char_end": len(first)}
    own = Hit(record_id("docs/gap", GENERATION, 0), first, 0.5, "docs/gap", GENERATION, facts)
    assert expand("neighbours", store, [own])[0].text == whole


PYTHON = "".join(
    f"def area_{n}(width, height):\n    if width > {n}:\n\n\n        return width * height\n\treturn {n}\n\n\n\n"
    for n in range(40)
)
YAML = "".join(f"- name: tent {n}\n  sizes:\n      - small\n\n  price:   {n}.50\n" for n in range(60))
SPACED = ("Words  here.\r\n \u2003Others\tthere.\n\n\n\n" * 30).strip()


@pytest.mark.parametrize("expander", ["parent", "neighbours"])
@pytest.mark.parametrize("strategy", ["parent_child", "code", "paragraphs", "sentences", "tokens"])
@pytest.mark.parametrize(
    "text", [PYTHON, YAML, SPACED, "One." + " " * MAX_GAP_CHARS + "Two."], ids=lambda text: text[:5]
)
def test_what_an_expander_gives_is_an_exact_slice_of_the_file(
    text: str, strategy: str, expander: str, store: Store
) -> None:
    options = {"parent_size": 1200} if strategy == "parent_child" else {}
    chunker = chunkers.build(strategy, {"chunk_size": 80, **options}, counter=EstimatedCounter(8192))
    document = Document(text, "TextParser")
    route = ParseRoute("TextParser", parsers.build("TextParser", {}), chunker, strategy, 80)
    identity = FileIdentity("docs", "cd" * 32, "a.txt", "text/plain", len(text), GENERATION)
    chunks = chunker.chunk(document)
    records = [
        Record(
            record_id(identity.file_key, GENERATION, chunk.index), chunk.text, np.ones(2, dtype=np.float32),
            identity.file_key, GENERATION, metadata,
        )
        for chunk, metadata in zip(chunks, build_metadata(identity, document, chunks, route, []), strict=True)
    ]  # fmt: skip
    store.upsert(records)
    found = [Hit(each.id, each.text, 0.5, each.file_key, GENERATION, each.metadata) for each in records]
    for one in found:
        [grown] = expand(expander, store, [one])
        assert grown.text == text[slice(*(int(grown.metadata[key]) for key in ("char_start", "char_end")))]
        if len(chunks) > 1 and (expander == "neighbours" or strategy == "parent_child"):
            assert len(grown.text) > len(one.text)
            assert "gap_after" not in grown.metadata
