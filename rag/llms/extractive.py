"""Answers with sentences of the retrieved chunks, quoted and cited. Needs no model and no server."""

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

from pydantic import Field

from rag.chunkers.sentences import sentence_spans
from rag.errors import BadRequestError
from rag.llms.base import Delta, FinishReason, LLMRequest, Sampling
from rag.llms.messages import last_user_text
from rag.llms.options import ProviderOptions
from rag.prompts import estimate_tokens
from rag.types import Hit

NOTHING_FOUND = (
    "I can only quote from documents, and I was given no passages for this question. "
    "If some were found, the window may have been too small to hold them."
)
QUOTING = "I quote from the documents; no language model is at work here."
CLOSEST = "Nothing in the documents found matches the question. The closest passage, which may not answer it:"

MAX_HITS = 20
MAX_QUOTE_CHARS = 600
MATCH_SHARE = 0.5
"""A chunk matches when it holds every code of the question, or this much of its words, weighted by rarity, …"""
SENTENCE_SHARE = 0.3
"""… or this much, and two of them in one sentence, …"""
MATCH_SCORE = 0.65
"""… or when the retriever is this sure of it: (1 + cosine) / 2 of unrelated texts stays below."""
HIT_WEIGHT = 0.5
"""How much of a sentence's rank comes from its chunk: the retriever also knows synonyms, which words do not show."""
CONTEXT_WEIGHT = 0.3
"""Credit for terms that stand elsewhere in the chunk: the subject is often named one sentence earlier."""
ABOVE_WEIGHT = 0.8
"""Credit for terms of the titles and column names above: they hold for every sentence and row under them."""
TITLE_FACTOR = 0.6
"""A title or what may be a line of column names: of little use as an answer."""
OTHER_ROW_FACTOR = 0.5
"""A row without a code that the question names and another place has is about another thing."""
EXACT_WEIGHT = 2.0
"""A number or an identifier of the question is seldom there by chance."""
NUMBER_BONUS = 0.15
SAME_SHARE = 0.8
"""Two sentences say the same when this share of the shorter one's words stands in the other."""
RELATIVE_FLOOR = 0.6
"""A further quote must be at least this good, compared with the best one."""

MIN_QUOTE_WORDS = 4
MIN_ROW_WORDS = 2
MAX_TITLE_CHARS = 40
LEAD_SHARE = 0.25
"""How much of an excerpt stands before the word it is cut around: answers mostly follow."""
EXCERPT_STEP = 20

_HEADING = re.compile(r"\s*#{1,6}\s")
_RULE = re.compile(r"[\s|:=_*~-]*")
_ROW = re.compile(r"\s*\||.*\S[ \t]\|[ \t]+\S|\s*\{.*\}[,\]]?\s*\Z")
_RECORD = re.compile(r"\s*[^\s:;|][^:;|]{0,60}: \S.*?; [^\s:;|][^:;|]{0,60}: \S")
_FIELD = re.compile(r"\s*([^\W_][\w .()/%-]{0,40}): \S.*(?<![.!?])\s*\Z")
_ITEM = re.compile(r"\s*(?:[-*+•‣◦–—]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)])\s+\S")
_SENTENCE_END = re.compile(r"[.!?…:][\"'”’)\]»]*\s*\Z")
_WORD = re.compile(r"[^\W_]+(?:[-_.'’][^\W_]+)*", re.UNICODE)
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
_DIGIT = re.compile(r"\d")
_NUMBER_TEXT = "when many much cost costs price year date percent number wann wieviel wieviele"
_NUMBER_WORDS = frozenset(_NUMBER_TEXT.split())
_STOP_TEXT = (
    "a about after all also an and any are as at be been before by can could did do does for from had has have he her "
    "his how i if in into is it its many may me much my no not of on or our shall she should so some such tell "
    "than that the their them then there these they this those to us was we were what when where which who whom whose "
    "why will with would you your der die das den dem des ein eine einer und oder ist sind war wie was wer wo wann im "
    "in zu auf für mit von le la les un une des et ou est sont que qui dans pour sur el los las y es son en con por"
)
_STOP_WORDS = frozenset(_STOP_TEXT.split())
_SAME_STEMS = {"cost": "pric"}
"""A price list does not say what people ask for."""
_ENDINGS = ("ingly", "edly", "ings", "ing", "ies", "ied", "es", "ed", "s", "ly")


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence or a row, the 1-based number of its source, and how well it fits.

    Args:
        text: the document's own words, on one line; of a long one what stands around the question's words.
        is_match: whether it is about the question at all, as far as words and the retriever can tell.
    """

    text: str
    number: int
    score: float
    is_match: bool = True


class _Unit(NamedTuple):
    """What is quoted as a whole: a sentence, a row, a record, a list item or a title."""

    text: str
    above: str
    """The titles and column names that hold for it."""
    factor: float = 1.0
    is_row: bool = False
    """Rows speak for themselves: what the next row says is not about this one."""


class _Sentence(NamedTuple):
    """A unit, the number of its source, and the wanted terms that it holds and that stand above it."""

    unit: _Unit
    number: int
    found: set[str]
    above: set[str]


class ExtractiveLLM:
    """Ranks sentences by the question's words they hold, weighted by rarity, and by their chunk's score."""

    class Options(ProviderOptions):
        model: str = "extractive"
        max_sentences: int = Field(3, ge=1, le=20, description="Most sentences quoted in one answer.")

    window_tokens: int | None = None

    def __init__(self, options: Options) -> None:
        self.model = options.model
        self._max_sentences = options.max_sentences

    async def stream(self, request: LLMRequest) -> AsyncIterator[Delta]:
        if (request.response_format or {}).get("type", "text") != "text":
            raise BadRequestError(
                "the extractive answerer quotes and cannot write JSON: leave response_format out or choose a model"
            )
        parts = answer_parts(last_user_text(request.messages), request.hits, self._max_sentences)
        text, finish_reason = _limited("".join(parts), request.sampling)
        start = 0
        for part in parts:
            if content := text[start : start + len(part)]:
                yield Delta(content=content)
            start += len(part)
        yield Delta(finish_reason=finish_reason)

    async def aclose(self) -> None:
        """Holds nothing."""


def answer_parts(question: str, hits: Sequence[Hit], max_sentences: int = 3) -> list[str]:
    """The answer in pieces: an opening that says where it comes from, then one quote per piece."""
    if not hits:
        return [NOTHING_FOUND]
    quotes = best_sentences(question, hits, max_sentences)
    matches = [quote for quote in quotes if quote.is_match]
    opening = QUOTING if matches else f"{QUOTING} {CLOSEST}"
    # Nothing in a quote is escaped: it stands in quotation marks, and its source's number after them.
    shown = matches or quotes[:1] or [_beginning(hits)]
    return [opening, *(f"\n\n“{quote.text}” [{quote.number}]" for quote in shown)]


def _limited(text: str, sampling: Sampling) -> tuple[str, FinishReason]:
    """The text up to the first stop sequence, and no more words than `max_tokens` allow."""
    ends = [text.find(stop) for stop in sampling.stop if stop and stop in text]
    text = text[: min(ends, default=len(text))]
    limit = sampling.max_tokens
    if limit is None or estimate_tokens(text) <= limit:
        return text, "stop"
    word_ends = [0, *(match.end() for match in re.finditer(r"\S+", text))]
    fitting = bisect_right(word_ends, limit, key=lambda end: estimate_tokens(text[:end]))
    return text[: word_ends[max(0, fitting - 1)]], "length"


def best_sentences(question: str, hits: Sequence[Hit], max_sentences: int) -> list[Quote]:
    """Rank the sentences and rows of `hits` against `question`.

    Returns:
        Best first; ties keep the order of the hits. No sentence twice, and none that shares no word with the question.
    """
    wanted = dict.fromkeys(terms(question))
    if not wanted:
        return []
    sentences = [
        _Sentence(unit, number, wanted.keys() & set(terms(unit.text)), wanted.keys() & set(terms(unit.above)))
        for number, hit in enumerate(hits[:MAX_HITS], 1)
        for unit in _units(hit.text)
    ]
    weights = _weights(wanted, sentences)
    chunks: dict[int, set[str]] = {}
    for sentence in sentences:
        chunks.setdefault(sentence.number, set()).update(sentence.found, sentence.above)
    codes = {term for held in chunks.values() for term in held if _is_code(term)}
    number_bonus = NUMBER_BONUS if _asks_for_number(question) else 0.0
    quotes = []
    for sentence in sentences:
        if not sentence.found:
            continue
        unit, hit_score, near = sentence.unit, hits[sentence.number - 1].score, chunks[sentence.number]
        score = _overlap(sentence, near, weights) / (1.0 + max(0, len(unit.text) - 200) / 2000)
        score += HIT_WEIGHT * hit_score + (number_bonus if _DIGIT.search(unit.text) else 0.0)
        is_match = hit_score >= MATCH_SCORE or _is_match(sentence, near, weights)
        is_other = unit.is_row and not codes <= sentence.found | sentence.above
        score *= unit.factor * (OTHER_ROW_FACTOR if is_other else 1.0)
        quotes.append(Quote(unit.text, sentence.number, score, is_match))
    quotes.sort(key=lambda quote: -quote.score)
    return [replace(quote, text=_excerpt(quote.text, weights)) for quote in _cut(quotes, max_sentences)]


def _overlap(sentence: _Sentence, near: set[str], weights: Mapping[str, float]) -> float:
    """The share of the question's words that the sentence has; those around it count for less."""
    above = sentence.above - sentence.found
    rest = set() if sentence.unit.is_row else near - sentence.found - above
    return (
        _share(sentence.found, weights) + ABOVE_WEIGHT * _share(above, weights) + CONTEXT_WEIGHT * _share(rest, weights)
    )


def _is_match(sentence: _Sentence, near: set[str], weights: Mapping[str, float]) -> bool:
    codes = {term for term in weights if _is_code(term)}
    share = _share(near, weights)
    if share >= MATCH_SHARE or (codes and codes <= near):
        return True
    return not codes and share >= SENTENCE_SHARE and len(sentence.found) >= 2


def _share(found: Iterable[str], weights: Mapping[str, float]) -> float:
    return sum(weights[term] for term in found) / sum(weights.values())


def _asks_for_number(question: str) -> bool:
    """Whether the question is after a date or an amount, which a sentence without digits seldom gives."""
    return not _NUMBER_WORDS.isdisjoint(_WORD.findall(question.lower()))


def terms(text: str) -> list[str]:
    """Words in lower case, without stop words and common endings; pairs of signs where words have no spaces."""
    found = []
    for word in _WORD.findall(text.lower()):
        if word in _STOP_WORDS:
            continue
        if not word.isascii() and _IDEOGRAPHS.fullmatch(word):
            found += [word[index : index + 2] for index in range(len(word) - 1)]
        else:
            stem = _stem(word)
            found.append(_SAME_STEMS.get(stem, stem))
    return found


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    if _is_exact(word):
        return word
    word = word.removesuffix("'s").removesuffix("’s")
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] in "ey" else word


def _is_exact(term: str) -> bool:
    return any(character.isdigit() for character in term) or "_" in term


def _is_code(term: str) -> bool:
    """An identifier: a plain number is often there by chance."""
    return _is_exact(term) and not term.isdigit()


def _weights(wanted: Iterable[str], sentences: Sequence[_Sentence]) -> dict[str, float]:
    """Rarity of each wanted term among the sentences; exact ones count more. Terms found nowhere keep theirs."""
    counts = Counter(term for sentence in sentences for term in sentence.found)
    return {
        term: math.log(1 + (len(sentences) + 1) / (counts[term] + 0.5)) * (EXACT_WEIGHT if _is_exact(term) else 1.0)
        for term in wanted
    }


def _cut(quotes: Sequence[Quote], max_sentences: int) -> list[Quote]:
    """The best ones, each statement once: of sentences that say the same, the one from the best source stands."""
    kept: list[Quote] = []
    words: list[set[str]] = []
    for quote in quotes:
        own = set(_WORD.findall(quote.text.lower()))
        same = next((index for index, other in enumerate(words) if _says_the_same(own, other)), None)
        if same is not None:
            if quote.number < kept[same].number and len(own) >= SAME_SHARE * len(words[same]):
                kept[same], words[same] = quote, own
            continue
        if len(kept) == max_sentences or (kept and quote.score < RELATIVE_FLOOR * kept[0].score):
            break
        kept.append(quote)
        words.append(own)
    return kept


def _says_the_same(first: set[str], second: set[str]) -> bool:
    less, more = sorted((first, second), key=len)
    if any(_is_exact(word) for word in less - more):
        return False  # rows of one table share their column names and differ in a number
    return len(less & more) >= SAME_SHARE * len(less)


class _Reader:
    """Takes a chunk line by line and gathers what can be quoted, with the titles above it."""

    def __init__(self) -> None:
        self.units: list[_Unit] = []
        self._lines: list[str] = []
        self._kind: Literal["prose", "item", "record"] = "prose"
        self._keys: set[str] = set()
        self._titles: list[str] = []
        self._is_title_open = False
        self._columns: str | None = None

    def take(self, line: str, following: str) -> None:
        """Add a line; `following` is the next one, which tells a title from a sentence."""
        line = line.rstrip()
        if _RULE.fullmatch(line):
            self._end_or_take_columns(line)
        elif _HEADING.match(line):
            self.flush()
            self._add_title(line.strip("# \t"))
        elif _is_row(line):
            self._take_row(line, following)
        elif _ITEM.match(line):
            self._begin("item", line)
        elif (field := _FIELD.match(line)) and self._takes_field(line, following):
            self._take_field(line, field[1])
        elif self._is_closed() and _is_title(line, following):
            self.flush()
            self._add_title(line.strip())
            self._add(line, MIN_QUOTE_WORDS, TITLE_FACTOR)
        else:
            self._take_prose(line)

    def flush(self) -> None:
        """End the unit under way."""
        lines, self._lines, self._columns = "\n".join(self._lines), [], None
        kind, self._kind = self._kind, "prose"
        if kind != "prose":
            self._add(lines, MIN_ROW_WORDS, is_row=kind == "record")
            return
        for start, end in sentence_spans(lines):
            self._add(lines[start:end], MIN_QUOTE_WORDS)

    def _end_or_take_columns(self, line: str) -> None:
        """A line of dashes under a table's first row makes it the column names."""
        if "|" not in line or self._columns is None:
            self.flush()
        elif self.units and self.units[-1].text == self._columns:
            self.units.pop()

    def _take_row(self, line: str, following: str) -> None:
        is_piped = "|" in line
        if is_piped and self._columns is not None:
            self._add(line, MIN_ROW_WORDS, is_row=True)
            return
        is_first = not self.units and not self._titles and not self._lines  # the chunk may begin in mid-table
        differs = bool(_DIGIT.search(following)) or not is_first
        self.flush()
        is_ruled = is_piped and "-" in following and _RULE.fullmatch(following)
        may_be_columns = is_ruled or (is_piped and differs and "|" in following and not _DIGIT.search(line))
        self._add(line, MIN_ROW_WORDS, TITLE_FACTOR if may_be_columns else 1.0, is_row=True)
        if is_piped:
            self._columns = " ".join(line.split()) if may_be_columns else ""

    def _takes_field(self, line: str, following: str) -> bool:
        if self._kind == "record":
            return True
        is_title = _begins_sentence(following) and not _FIELD.match(following) and _is_title(line, following)
        return self._is_closed() and not is_title

    def _take_field(self, line: str, key: str) -> None:
        if self._kind == "record" and key not in self._keys:
            self._lines.append(line)
        else:
            self._begin("record", line)
            self._keys = set()
        self._keys.add(key)

    def _take_prose(self, line: str) -> None:
        is_over = self._kind == "record" and len(self._lines) > 1
        is_over |= self._kind == "item" and self._is_closed() and not line[:1].isspace()
        if is_over or self._columns is not None:
            self.flush()
        if self._kind == "record":
            self._kind = "prose"
        self._lines.append(line)

    def _begin(self, kind: Literal["item", "record"], line: str) -> None:
        self.flush()
        self._kind, self._lines = kind, [line]

    def _is_closed(self) -> bool:
        """Whether a line could begin something new here."""
        return not self._lines or bool(_SENTENCE_END.search(self._lines[-1]))

    def _add_title(self, title: str) -> None:
        self._titles = [*self._titles, title] if self._is_title_open else [title]
        self._is_title_open = True

    def _add(self, text: str, least_words: int, factor: float = 1.0, *, is_row: bool = False) -> None:
        if len(_WORD.findall(text)) < least_words:
            return
        above = "\n".join([*self._titles, self._columns or ""])
        self.units.append(_Unit(" ".join(text.split()), above, factor, is_row))
        self._is_title_open &= factor != 1.0


def _units(text: str) -> list[_Unit]:
    """What can be quoted, without the rules and marked headings that stand between."""
    reader = _Reader()
    for line, following in pairwise([*text.splitlines(), ""]):
        reader.take(line, following)
    reader.flush()
    return reader.units


def _is_row(line: str) -> bool:
    return bool(_ROW.match(line) or _RECORD.match(line))


def _is_title(line: str, following: str) -> bool:
    """A title has no full stop and something new begins after it: "Leave" before "Annual leave is …"."""
    title = line.strip()
    if len(title) > MAX_TITLE_CHARS or title.endswith((".", "!", "?", ":", ",", ";", "-", "|")):
        return False
    if not following.strip() or _is_row(following) or _ITEM.match(following) or _FIELD.match(following):
        return True
    return _begins_sentence(following)


def _begins_sentence(line: str) -> bool:
    return line.lstrip()[:1].isupper() and len(_WORD.findall(line)) >= MIN_QUOTE_WORDS


def _beginning(hits: Sequence[Hit]) -> Quote:
    best = max(range(len(hits)), key=lambda index: hits[index].score)
    flat = " ".join(hits[best].text.split())
    texts = [unit.text for unit in _units(hits[best].text) if unit.factor == 1.0] or [flat]
    both = " ".join(texts[:2])
    text = both if both in flat else texts[0]
    return Quote(_excerpt(text, {}), best + 1, hits[best].score, is_match=False)


def _excerpt(text: str, weights: Mapping[str, float]) -> str:
    """The whole text, or as much of it around the question's words as a quote may hold; gaps show as `…`."""
    if len(text) <= MAX_QUOTE_CHARS:
        return text
    anchors = _anchors(text, weights) or [0]
    for width in range(MAX_QUOTE_CHARS, 0, -EXCERPT_STEP):
        spans = _windows(anchors, width, len(text))
        if sum(end - start for start, end in spans) <= MAX_QUOTE_CHARS:
            break
    parts = [_whole_words(text, start, end) for start, end in spans]
    before, after = "… " if spans[0][0] else "", " …" if spans[-1][1] < len(text) else ""
    return before + " … ".join(parts) + after


def _anchors(text: str, weights: Mapping[str, float]) -> list[int]:
    """One place of each wanted word, in order: the one that is nearest to the rarest word."""
    places: dict[str, list[int]] = {}
    for match in _WORD.finditer(text):
        for term in terms(match.group()):
            if term in weights:
                places.setdefault(term, []).append(match.start())
    if not places:
        return []
    rarest = min(places, key=lambda term: (len(places[term]), -weights[term]))
    centre = places[rarest][0]
    return sorted({min(starts, key=lambda start: abs(start - centre)) for starts in places.values()})


def _windows(anchors: Iterable[int], width: int, length: int) -> list[tuple[int, int]]:
    """Spans of `width` around the anchors, those that touch made one."""
    spans: list[tuple[int, int]] = []
    for anchor in anchors:
        start = max(0, min(anchor - int(width * LEAD_SHARE), length - width))
        end = min(length, start + width)
        if spans and start <= spans[-1][1]:
            start = spans.pop()[0]
        spans.append((start, end))
    return spans


def _whole_words(text: str, start: int, end: int) -> str:
    """Leave out the word that each end of the span cuts, unless there is no other."""
    part = text[start:end]
    if start and not text[start - 1].isspace():
        part = part.partition(" ")[2] or part
    if end < len(text) and not text[end].isspace():
        part = part.rpartition(" ")[0] or part
    return part.strip()
