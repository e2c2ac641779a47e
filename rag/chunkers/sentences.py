"""Where sentences begin and end: one scan over the text, linear in its length whatever it holds."""

import re
from collections.abc import Iterator

# Each alternative matches unconditionally once begun and is judged afterwards: a pattern that could fail at the
# end of a long run of dots or line breaks would be tried again at every position of the run.
_CANDIDATE = re.compile(
    r"""(?P<stop>[.!?…]++)["'”’)\]»]*+"""
    r"""|(?P<wide>[。！？｡]++)[」』”’）】]*+"""
    r"""|(?P<line>\n\s*+)"""
)
_LIST_ITEM = re.compile(r"(?:[-*+•‣◦–—]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)])[^\S\n]|\|")
_NONSPACE = re.compile(r"\S")
_LAST_WORD = re.compile(r"[\w.'’-]+\Z")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")

_LOOK_BACK_CHARS = 24


def _words(line: str) -> frozenset[str]:
    return frozenset(line.split())


# Always followed by the rest of their sentence.
_TITLES = _words(
    "mr mrs ms dr prof rev hon gen col capt lt sgt maj st messrs mme mlle sr sra fr gov sen rep pres supt "
    "vs cf viz eg ie e.g i.e approx ca resp incl excl"
)
# Followed by the rest of their sentence when a number or a small word comes next.
_BEFORE_NUMBER = _words(
    "no nos nr fig figs eq eqs sec secs art arts ch chap vol vols p pp pt para paras pg ed eds ex tab app ref refs "
    "jan feb mar apr jun jul aug sep sept oct nov dec cl reg sched stat §"
)
# May end a sentence: they do so when a usual first word follows.
_AMBIGUOUS = _words(
    "etc inc ltd co corp jr al dept est bros univ assn ave blvd rd mt ft a.m p.m u.s u.k u.n e.u ph.d d.c"
)
_FIRST_WORDS = _words(
    "the a an this that these those it he she they we i you in on at for from when while if as after before but and "
    "however there here what who how why no yes our my his her their its all some many most each by to with"
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Find the sentences of `text`.

    Returns:
        (start, end) of every sentence, in order, without the white space around it. Together they cover
        every character that is not white space. A blank line, a list item and a table row begin anew.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for end, next_start in _boundaries(text):
        _append(spans, text, start, end)
        start = next_start
    _append(spans, text, start, len(text))
    return spans


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    first = _NONSPACE.search(text, start, end)
    if first is not None:
        spans.append((first.start(), first.start() + len(text[first.start() : end].rstrip())))


def _boundaries(text: str) -> Iterator[tuple[int, int]]:
    line_start = 0
    for match in _CANDIDATE.finditer(text):
        end = match.end()
        kind = match.lastgroup
        if kind == "line":
            line_start = end
            if "\n" in match.group()[1:] or _LIST_ITEM.match(text, end):
                yield match.start(), end
        elif kind == "wide" or _ends_sentence(text, match, line_start):
            yield end, end


def _ends_sentence(text: str, match: re.Match[str], line_start: int) -> bool:
    end = match.end()
    if end < len(text) and not text[end].isspace():
        return False
    following = _NONSPACE.search(text, end, end + 200)
    if following is None:
        return True
    if match["stop"] == "." and text[match.start() - 1 : match.start()].isspace():
        return True  # a stop set apart ends a sentence in texts that were written in lower case throughout
    if following.group().islower():
        return False
    if match["stop"] != ".":
        return True
    return not _is_abbreviation(text, match.start(), line_start, following.start())


def _is_abbreviation(text: str, dot: int, line_start: int, next_start: int) -> bool:
    floor = max(0, dot - _LOOK_BACK_CHARS)
    found = _LAST_WORD.search(text[floor:dot])
    if found is None:
        return False
    word = found.group()
    if word.isdigit():
        start = floor + found.start()  # the number of a list item stands first on its line
        return len(word) <= 3 and start - line_start <= _LOOK_BACK_CHARS and not text[line_start:start].strip()
    lowered = word.lower()
    if lowered in _TITLES:
        return True
    if lowered in _BEFORE_NUMBER:
        return text[next_start].isdigit() or text[next_start] in "([§"
    if lowered in _AMBIGUOUS or (_INITIALS.fullmatch(word) and word != "I"):
        return not _is_first_word(text, next_start)
    return False


def _is_first_word(text: str, start: int) -> bool:
    word = text[start : start + 12].split(None, 1)[0].strip("\"'“‘([,.;:")
    return word.lower() in _FIRST_WORDS
