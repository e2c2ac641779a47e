"""Makes questions from chunks: sentences taken out of the text, or what a model asks about them.

A sentence is its own answer, so that a question with all of its words would only test looking words up. Its stop
words, its numbers and codes, and the words that hardly any other chunk holds are left out, and of the rest only some
are kept. What remains still uses the words of the text, as questions of people often do not: such a set compares ways
to cut files, and shows what is never found, but it cannot say whether words or meaning find what people ask for.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rag.chunkers.sentences import sentence_spans
from rag.errors import UpstreamError
from rag.evaluation.questions import Question, Target
from rag.stores.lexical import STOP_WORDS

MIN_TELLING_WORDS = 6
MAX_SENTENCE_CHARS = 400
KEPT_WORDS = (4, 7)
MAX_FAILURES = 3
MAX_CONTEXT_CHARS = 1500
COPIED_WORDS = 6

INSTRUCTION = (
    "You write one question that a person who needs to know something might ask. You get a passage and one sentence of "
    "it. Ask for what the sentence says, in your own words: do not copy more than three words in a row, name what the "
    "question is about, and do not mention the passage or the text. Answer with the question alone, on one line."
)

Ask = Callable[[str, str], str]
"""(instruction, question) → the model's answer; raises UpstreamError."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_SENTENCE_END = re.compile(r"[.!?…。！？]['\"”’)]*$")
_LEAD = re.compile(r"^(?:question\s*:|q\s*:|[-*\d.)\s]+|[\"'“])+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it is stored."""

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    file: str
    text: str
    context: str
    words: tuple[str, ...]
    """Those that tell something, in order."""


def held_out_questions(passages: Sequence[Passage], count: int, seed: int) -> list[Question]:
    """At most `count` questions of some words of a sentence each; the same for the same input and seed."""
    generator = random.Random(seed)  # noqa: S311  # no secret depends on it
    frequencies = _chunk_frequencies(passages)
    found: dict[str, Question] = {}
    for sentence in _chosen(_sentences(passages), generator):
        if len(found) == count:
            break
        common = [word for word in sentence.words if frequencies[word] > 1]
        # Short collections repeat hardly a word: then all that are plain words will do.
        usable = common if len(common) >= KEPT_WORDS[0] else list(sentence.words)
        kept = set(generator.sample(range(len(usable)), min(len(usable), generator.randint(*KEPT_WORDS))))
        text = " ".join(word for at, word in enumerate(usable) if at in kept)
        found.setdefault(text, _question(len(found) + 1, text, sentence))
    return list(found.values())


def written_questions(
    passages: Sequence[Passage], count: int, seed: int, ask: Ask, on_written: Callable[[int], None] = lambda _n: None
) -> list[Question]:
    """At most `count` questions that a model writes about sentences; what is no question, or a copy, is left out.

    Args:
        on_written: told how many there are; may raise CancelledTaskError.

    Raises:
        UpstreamError: the model failed three times in a row.
    """
    generator = random.Random(seed)  # noqa: S311  # no secret depends on it
    found: list[Question] = []
    failures = tries = 0
    for sentence in _chosen(_sentences(passages), generator):
        if len(found) == count or tries == 2 * count:
            break
        tries += 1
        try:
            answer = ask(INSTRUCTION, f"Passage:\n{sentence.context}\n\nSentence:\n{sentence.text}")
        except UpstreamError:
            failures += 1
            if failures == MAX_FAILURES:
                raise
            continue
        failures = 0
        text = _asked(answer)
        if text and not _is_copied(text, sentence.text):
            found.append(_question(len(found) + 1, text, sentence))
        on_written(len(found))
    return found


def _question(number: int, text: str, sentence: Sentence) -> Question:
    return Question(f"s{number}", text, (Target(sentence.file, sentence.text),))


def _sentences(passages: Iterable[Passage]) -> list[Sentence]:
    """Whole sentences with enough to tell, each once."""
    found: dict[str, Sentence] = {}
    for passage in passages:
        for start, end in sentence_spans(passage.text):
            text = passage.text[start:end]
            if len(text) > MAX_SENTENCE_CHARS or "|" in text or not _SENTENCE_END.search(text):
                continue
            words = _telling(text)
            if len(words) >= MIN_TELLING_WORDS:
                context = passage.text[max(0, start - MAX_CONTEXT_CHARS // 2) : end + MAX_CONTEXT_CHARS // 2]
                found.setdefault(text, Sentence(passage.file, text, context, words))
    return list(found.values())


def _telling(text: str) -> tuple[str, ...]:
    """Words without stop words, numbers and codes, each once."""
    words = (word for word in _WORD.findall(text) if word.isalpha() and not (word.isupper() and len(word) > 1))
    return tuple(
        dict.fromkeys(word.casefold() for word in words if word.casefold() not in STOP_WORDS and len(word) > 2)
    )


def _chunk_frequencies(passages: Iterable[Passage]) -> Counter[str]:
    """Word → how many chunks hold it."""
    counts: Counter[str] = Counter()
    for passage in passages:
        counts.update({word.casefold() for word in _WORD.findall(passage.text)})
    return counts


def _chosen(sentences: Sequence[Sentence], generator: random.Random) -> list[Sentence]:
    """In random order, the files taking turns: a long one does not decide alone."""
    by_file: dict[str, list[Sentence]] = {}
    for each in sentences:
        by_file.setdefault(each.file, []).append(each)
    for each_file in by_file.values():
        generator.shuffle(each_file)
    files = list(by_file.values())
    generator.shuffle(files)
    longest = max(map(len, files), default=0)
    return [each[turn] for turn in range(longest) for each in files if turn < len(each)]


def _asked(answer: str) -> str | None:
    """The question in a model's answer, if it is one."""
    lines = [line.strip() for line in answer.strip().splitlines() if line.strip()]
    asking = next((line for line in lines if "?" in line), "")
    text = _LEAD.sub("", asking[: asking.rfind("?") + 1]).strip()
    return text if 3 <= len(text.split()) <= 60 else None


def _is_copied(question: str, sentence: str) -> bool:
    """Whether the question repeats `COPIED_WORDS` words of the sentence in a row."""
    asked, said = (tuple(word.casefold() for word in _WORD.findall(text)) for text in (question, sentence))
    runs = {said[at : at + COPIED_WORDS] for at in range(len(said) - COPIED_WORDS + 1)}
    return any(asked[at : at + COPIED_WORDS] in runs for at in range(len(asked) - COPIED_WORDS + 1))
