"""Token counters: the embedder's own tokenizer, or a safe estimate where it is not at hand."""

import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

SEGMENT_SIZE_CHARS = 32_768
"""Longer texts are handed to the tokenizer in parts: it is several times slower on one huge string."""

BATCH_SIZE_CHARS = 2_097_152
"""Texts per call are bounded by this sum, so that memory stays bounded whatever the document."""

LOOK_BACK_CHARS = 4_096

_SURROGATES = re.compile("[\ud800-\udfff]")
_WORD_BOUND = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})


class TokenizerCounter:
    """Counts with a Hugging Face fast tokenizer, never truncated and never padded.

    Args:
        tokenizer: taken over: its truncation and padding are switched off.
        window: tokens the model takes in one text, special tokens included.
    """

    def __init__(self, tokenizer: Tokenizer, window: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.max_tokens = window - tokenizer.num_special_tokens_to_add(False)
        # Such tokenizers never look past a blank, so the counts of words add up to the count of the text.
        self.adds_up = type(tokenizer.pre_tokenizer).__name__ in _WORD_BOUND

    @classmethod
    def from_file(cls, path: Path, window: int) -> "TokenizerCounter":
        """Read a `tokenizer.json`."""
        return cls(Tokenizer.from_file(str(path)), window)

    def count(self, text: str) -> int:
        return self.count_batch([text])[0]

    def count_batch(self, texts: list[str]) -> list[int]:
        counts = [0] * len(texts)
        for batch in _batches(_segments(texts)):
            encoded = self._tokenizer.encode_batch_fast([_valid(part) for _, part in batch], add_special_tokens=False)
            for (index, _), encoding in zip(batch, encoded, strict=True):
                counts[index] += len(encoding)
        return counts

    def spans(self, text: str) -> list[tuple[int, int]]:
        result: list[tuple[int, int]] = []
        offset = 0
        for batch in _batches((0, part) for part in split_at_blanks(text, SEGMENT_SIZE_CHARS)):
            encoded = self._tokenizer.encode_batch([_valid(part) for _, part in batch], add_special_tokens=False)
            for (_, part), encoding in zip(batch, encoded, strict=True):
                # An empty span is a token that stands for nothing in the text, such as a dummy prefix.
                result.extend((offset + start, offset + end) for start, end in encoding.offsets)
                offset += len(part)
        return result


class EstimatedCounter:
    """An upper bound for embedders that are reached over HTTP and do not show their tokenizer.

    One token for each two ASCII letters of a word, each digit, each sign, each line break, and each blank after
    a blank; one per UTF-8 byte of every other character. Byte-level BPE cannot give more than one token per
    byte, and the word pieces of ordinary words are longer than two letters; English prose is counted about twice.
    Strings of random letters can come out higher than this in some vocabularies.
    """

    adds_up = True

    _TOKEN = re.compile(r"[A-Za-z]{1,2}|[^A-Za-z ]|(?<= ) ")

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens

    def count(self, text: str) -> int:
        extra_bytes = 0 if text.isascii() else len(text.encode("utf-8", "surrogatepass")) - len(text)
        return len(self._TOKEN.findall(text)) + extra_bytes

    def count_batch(self, texts: list[str]) -> list[int]:
        return [self.count(text) for text in texts]

    def spans(self, text: str) -> list[tuple[int, int]]:
        spans = [match.span() for match in self._TOKEN.finditer(text)]
        if text.isascii():
            return spans
        return [span for span in spans for _ in range(_byte_count(text[span[0]]))]


def split_at_blanks(text: str, size_chars: int) -> Iterator[str]:
    """Cut `text` into parts of at most `size_chars`, before a space or line break if one is near; nothing is lost."""
    start = 0
    while len(text) - start > size_chars:
        limit = start + size_chars
        floor = max(start + 1, limit - LOOK_BACK_CHARS)
        cut = max(text.rfind("\n", floor, limit), text.rfind(" ", floor, limit))
        cut = cut if cut > 0 else limit
        yield text[start:cut]
        start = cut
    if start < len(text):
        yield text[start:]


def _segments(texts: list[str]) -> Iterator[tuple[int, str]]:
    for index, text in enumerate(texts):
        for part in split_at_blanks(text, SEGMENT_SIZE_CHARS):
            yield index, part


def _batches(parts: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    batch: list[tuple[int, str]] = []
    size_chars = 0
    for part in parts:
        batch.append(part)
        size_chars += len(part[1])
        if size_chars >= BATCH_SIZE_CHARS:
            yield batch
            batch, size_chars = [], 0
    if batch:
        yield batch


def _valid(text: str) -> str:
    """Replace lone surrogates, which the tokenizer refuses, one for one, so that offsets hold."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _byte_count(char: str) -> int:
    code = ord(char)
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
