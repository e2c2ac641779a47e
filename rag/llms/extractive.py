"""Answers with sentences of the retrieved chunks, quoted and cited. Needs no model and no server."""

import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from pydantic import Field

from rag.chunkers.sentences import sentence_spans
from rag.errors import BadRequestError
from rag.llms.base import Delta, LLMRequest
from rag.llms.messages import last_user_text
from rag.llms.options import ProviderOptions
from rag.prompts import escape_source
from rag.types import Hit

NOTHING_FOUND = (
    "I can only quote from documents, and I was given none for this question: "
    "either nothing in them matches it, or no database was searched."
)
QUOTING = "I quote from the documents; no language model is at work here."
CLOSEST = "No sentence of the documents found shares its words with the question. The closest passage begins:"

MAX_HITS = 20
MAX_QUOTE_CHARS = 600
HIT_WEIGHT = 0.5
"""How much of a sentence's rank comes from its chunk: the retriever also knows synonyms, which words do not show."""
CONTEXT_WEIGHT = 0.3
"""Credit for terms that stand elsewhere in the chunk: the subject is often named one sentence earlier."""
EXACT_WEIGHT = 2.0
"""A number or an identifier of the question is seldom there by chance."""
NUMBER_BONUS = 0.15
SAME_SHARE = 0.8
"""Two sentences say the same when this share of the shorter one's words stands in the other."""
RELATIVE_FLOOR = 0.6
"""A further quote must be at least this good, compared with the best one."""

MIN_QUOTE_WORDS = 4
MAX_TITLE_CHARS = 40

_HEADING = re.compile(r"\s*#{1,6}\s")
_RULE = re.compile(r"[\s|:=_*~-]*")
_WORD = re.compile(r"[^\W_]+(?:[-_.'’][^\W_]+)*", re.UNICODE)
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}")
_DIGIT = re.compile(r"\d")
_NUMBER_WORDS = frozenset({"when", "many", "much", "year", "date", "percent", "number", "wann", "wieviel", "wieviele"})
_STOP_TEXT = (
    "a about after all also an and any are as at be been before by can could did do does for from had has have he her "
    "his how i if in into is it its may me my no not of on or our shall she should so some such tell than that the "
    "their them then there these they this those to us was we were what when where which who whom whose why will "
    "with would you your der die das den dem des ein eine einer und oder ist sind war wie was wer wo wann im in zu "
    "auf für mit von le la les un une des et ou est sont que qui dans pour sur el los las y es son en con por"
)
_STOP_WORDS = frozenset(_STOP_TEXT.split())
_ENDINGS = ("ingly", "edly", "ings", "ing", "ies", "ied", "es", "ed", "s", "ly")


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence, the 1-based number of its source, and how well it fits."""

    text: str
    number: int
    score: float


class _Sentence(NamedTuple):
    """A sentence, the number of its source, and the wanted terms that it holds."""

    text: str
    number: int
    found: set[str]


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
        for part in answer_parts(last_user_text(request.messages), request.hits, self._max_sentences):
            yield Delta(content=part)
        yield Delta(finish_reason="stop")

    async def aclose(self) -> None:
        """Holds nothing."""


def answer_parts(question: str, hits: Sequence[Hit], max_sentences: int = 3) -> list[str]:
    """The answer in pieces: an opening that says where it comes from, then one quote per piece."""
    if not hits:
        return [NOTHING_FOUND]
    quotes = best_sentences(question, hits, max_sentences)
    opening = QUOTING if quotes else f"{QUOTING} {CLOSEST}"
    return [opening, *(f"\n\n“{_quotable(quote.text)}” [{quote.number}]" for quote in quotes or [_beginning(hits)])]


def best_sentences(question: str, hits: Sequence[Hit], max_sentences: int) -> list[Quote]:
    """Rank the sentences of `hits` against `question`.

    Returns:
        Best first; ties keep the order of the hits. No sentence twice, and none that shares no word with the question.
    """
    wanted = dict.fromkeys(terms(question))
    if not wanted:
        return []
    sentences = [
        _Sentence(text, number, wanted.keys() & set(terms(text)))
        for number, hit in enumerate(hits[:MAX_HITS], 1)
        for text in _sentences(hit.text)
    ]
    weights = _weights(wanted, sentences)
    total = sum(weights.values())
    chunks: dict[int, set[str]] = {}
    for sentence in sentences:
        chunks.setdefault(sentence.number, set()).update(sentence.found)
    number_bonus = NUMBER_BONUS if _asks_for_number(question) else 0.0
    quotes = []
    for text, number, own in sentences:
        if not own:
            continue
        near = chunks[number] - own
        overlap = sum(weights[term] for term in own) + CONTEXT_WEIGHT * sum(weights[term] for term in near)
        score = overlap / total / (1.0 + max(0, len(text) - 200) / 2000) + HIT_WEIGHT * hits[number - 1].score
        if number_bonus and _DIGIT.search(text):
            score += number_bonus
        quotes.append(Quote(text, number, score))
    quotes.sort(key=lambda quote: -quote.score)
    return _cut(quotes, max_sentences)


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
            found.append(_stem(word))
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
    return len(first & second) >= SAME_SHARE * min(len(first), len(second))


def _sentences(text: str) -> list[str]:
    """What can be quoted: sentences and rows, without the headings and rules that stand between them."""
    prose = "\n".join(line for line in text.splitlines() if not _RULE.fullmatch(line) and not _HEADING.match(line))
    return [
        _without_title(sentence).strip()
        for start, end in sentence_spans(prose)
        if len(_WORD.findall(sentence := prose[start:end])) >= MIN_QUOTE_WORDS
    ]


def _without_title(sentence: str) -> str:
    """A title has no full stop, so that it runs into the sentence after it: "Leave\\nAnnual leave is …"."""
    first, _, rest = sentence.partition("\n")
    is_title = len(first) <= MAX_TITLE_CHARS and not first.rstrip().endswith((".", ":", ",", ";", "-", "|"))
    begins_anew = rest.lstrip()[:1].isupper() and len(_WORD.findall(rest)) >= MIN_QUOTE_WORDS
    return rest if is_title and begins_anew else sentence


def _beginning(hits: Sequence[Hit]) -> Quote:
    best = max(range(len(hits)), key=lambda index: hits[index].score)
    sentences = _sentences(hits[best].text)
    return Quote(" ".join(sentences[:2]) or hits[best].text, best + 1, hits[best].score)


def _quotable(text: str) -> str:
    """On one line, cut at a word, and without brackets that would pose as one of our own numbers."""
    flat = escape_source(" ".join(text.split()))
    if len(flat) <= MAX_QUOTE_CHARS:
        return flat
    return flat[:MAX_QUOTE_CHARS].rpartition(" ")[0] + " …"
