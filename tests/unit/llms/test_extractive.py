import asyncio
import time
from pathlib import Path

import pytest

from rag.chunkers import chunkers
from rag.chunkers.tokens import EstimatedCounter
from rag.llms import llms
from rag.llms.base import Delta, LLMRequest, Sampling
from rag.llms.excerpts import MAX_QUOTE_CHARS
from rag.llms.extractive import CLOSEST, NOTHING_FOUND, QUOTING, answer_parts
from rag.llms.quote_words import terms
from rag.llms.quotes import best_sentences
from rag.parsers import parsers
from rag.parsers.base import ParseLimits
from rag.parsers.detect import probe_file
from rag.prompts import estimate_tokens
from rag.types import Hit

HANDBOOK = Path(__file__).parents[3] / "examples" / "handbook" / "files" / "handbook"

HERONS = "The heron is a wading bird. It nests in tall trees near water. Herons feed on fish and frogs at dusk."
MILLS = "The mill stands by the weir. It was rebuilt in 1843 after the flood. The part number is AX-204."


def hit(text: str, score: float = 0.5) -> Hit:
    return Hit("id", text, score, "docs/abc", "g")


def first_quote(question: str, text: str) -> str:
    return best_sentences(question, [hit(text)], 3)[0].text


def answer(question: str, hits: list[Hit], **sampling: object) -> list[Delta]:
    llm = llms.build("extractive", {})
    request = LLMRequest(({"role": "user", "content": question},), Sampling(**sampling), hits=tuple(hits))  # type: ignore[arg-type]

    async def collect() -> list[Delta]:
        return [delta async for delta in llm.stream(request)]

    return asyncio.run(collect())


@pytest.fixture(scope="module", params=[128, 512, 8192])
def handbook(request: pytest.FixtureRequest) -> list[list[Hit]]:
    """The chunks of the example's files, as an embedder with a window of that many tokens gets them."""
    counter = EstimatedCounter(request.param)
    files = []
    for path in sorted(HANDBOOK.iterdir()):
        document = parsers.build("auto", {}).parse(probe_file(path, path.name), ParseLimits())
        chunks = chunkers.build("auto", {}, counter=counter).chunk(document)
        files.append([hit(chunk.text) for chunk in chunks])
    return files


@pytest.mark.parametrize(
    ("question", "sentence", "number"),
    [
        ("When was the mill rebuilt?", "It was rebuilt in 1843 after the flood.", 2),
        ("What do herons eat? Do they feed on fish?", "Herons feed on fish and frogs at dusk.", 1),
        ("Which part is AX-204?", "The part number is AX-204.", 2),
        ("What happened in 1843?", "It was rebuilt in 1843 after the flood.", 2),
        ("Where does a heron nest?", "It nests in tall trees near water.", 1),
    ],
)
def test_the_sentence_that_answers_comes_first(question: str, sentence: str, number: int) -> None:
    best = best_sentences(question, [hit(HERONS), hit(MILLS)], 3)[0]
    assert (best.text, best.number) == (sentence, number)


def test_quotes_are_verbatim_and_cited_and_say_that_they_are_quotes() -> None:
    opening, quote = answer_parts("When was the mill rebuilt?", [hit(MILLS)], 1)

    assert opening == QUOTING
    assert quote == "\n\n“It was rebuilt in 1843 after the flood.” [1]"


def test_no_hits_are_told_and_nothing_is_made_up() -> None:
    assert answer_parts("When?", []) == [NOTHING_FOUND]


def test_without_a_shared_word_the_closest_passage_is_shown_as_such() -> None:
    parts = answer_parts("Vacation policy?", [hit(HERONS, 0.2), hit(MILLS, 0.4)])

    assert CLOSEST in parts[0]
    assert parts[1].endswith("[2]")


def test_the_same_sentence_is_quoted_once() -> None:
    quotes = best_sentences("mill weir", [hit(MILLS), hit(MILLS, 0.4)], 5)
    assert len({quote.text for quote in quotes}) == len(quotes)


@pytest.mark.parametrize(
    "text", ["The mill burned [7].", "Take choices[0] of the mill.", "The mill is <source> 1 < 2."]
)
def test_a_quote_is_the_documents_own_words(text: str) -> None:
    (_, quote) = answer_parts("mill", [hit(text)], 1)
    assert quote == f"\n\n“{text}” [1]"


@pytest.mark.parametrize(
    ("question", "row"),
    [
        (
            "When is the next inspection of ZX-4471-Q?",
            """Device: Deck oven DO-3; Serial number: ZX-4471-Q; Next inspection: 2026-09-14;
            Service partner: Thermoline""",
        ),
        (
            "What does the walnut crown cost?",
            "article: 1003; name: Walnut crown; price: 6.90; weight_g: 600; shop: Harbour Street",
        ),
        ("Is Harbour Street open on Sunday?", "| Sunday | 08:00 to 12:00 |"),
        (
            "What is the minimum order of sea salt?",
            """Supplier: Saltworks Brae; Product: Sea salt, fine; Contact: Oona Tait;
            Delivery days: first Wednesday of the month; Minimum order: 25 kg""",
        ),
        (
            "What does error E12 mean?",
            """| E12 | Water pressure too low | Open the valve behind the oven;
            call Thermoline if it stays below 2 bar |""",
        ),
        (
            "When does Hotel Meridian get its delivery?",
            "customer: Hotel Meridian weekday: daily items.Seeded roll: 140 items.Harbour loaf: 12 delivery: 05:45",
        ),
        ("Who is the safety officer?", "The safety officer is Ilse Marrow, extension 214."),
        ("Where are the adrenaline pens?", "The adrenaline pens are in the yellow case at the till of both shops."),
        (
            "Who collects the offers for the delivery van?",
            """2. The members decided to buy an electric delivery van. The budget is 38,000.
            Tomas Wren collects three offers by the end of March.""",
        ),
    ],
)
def test_the_row_that_answers_comes_first_and_alone(handbook: list[list[Hit]], question: str, row: str) -> None:
    row = " ".join(row.split())
    hits = [each for file in handbook for each in file if set(terms(question)) & set(terms(each.text))]
    assert answer_parts(question, hits)[:2] == [QUOTING, f"\n\n“{row}” [{number_of(row, hits)}]"]


def test_rows_of_other_things_are_not_quoted_beside_the_one_asked_for(handbook: list[list[Hit]]) -> None:
    workbook = next(file for file in handbook if "ZX-4471-Q" in " ".join(each.text for each in file))
    (_, quote) = answer_parts("When is the next inspection of ZX-4471-Q?", workbook)
    assert "2026-09-14" in quote


def number_of(row: str, hits: list[Hit]) -> int:
    return next(number for number, each in enumerate(hits, 1) if row in " ".join(each.text.split()))


@pytest.mark.parametrize(
    ("text", "question", "quote"),
    [
        ("Kind | Fee\nadult | 12 euros\nchild | 4 euros", "fee for a child", "child | 4 euros"),
        ('{"kind": "adult", "fee": 12}\n{"kind": "child", "fee": 4}', "child", '{"kind": "child", "fee": 4}'),
        ("kind: adult; fee: 12\n\nOpening hours\nkind: child; fee: 4", "adult fee", "kind: adult; fee: 12"),
        ("- bring a towel\n- bring two locks\nThe pool is open.", "towel", "- bring a towel"),
        ("* a towel, which may be\n  hired at the desk\n* soap", "towel", "* a towel, which may be hired at the desk"),
        ("The pool is warm and\nclean.\n\nFees\n\nThe fee is low for all.", "warm", "The pool is warm and clean."),
        ("Door code: 8812", "door code", "Door code: 8812"),
    ],
    ids=["pipes inside", "json lines", "record before a heading", "list item", "wrapped item", "prose", "one field"],
)  # fmt: skip
def test_a_row_a_record_and_a_list_item_are_quoted_whole_and_alone(text: str, question: str, quote: str) -> None:
    assert first_quote(question, text) == quote


def test_rows_that_differ_in_a_number_do_not_say_the_same() -> None:
    rows = [f"plant: Reedwater mill; line: north hall; state: running; code: AX-{number}" for number in (203, 204)]
    quotes = best_sentences("state of AX-204", [hit(rows[0], 0.9), hit(rows[1])], 2)
    assert quotes[0].text == rows[1]


@pytest.mark.parametrize("position", [0, 900, 2500, 5000])
def test_a_long_unit_is_cut_around_the_words_and_never_before_the_answer(position: int) -> None:
    filler = "so it went on and on through wind and rain "
    text = (filler * 120)[:position] + " the heron laid 4312 eggs " + filler * 120
    quote = first_quote("How many eggs has the heron laid?", text)

    assert "the heron laid 4312 eggs" in quote
    assert len(quote) <= MAX_QUOTE_CHARS + len("…  …")
    assert quote.endswith(" …")
    assert quote.startswith("… ") == (position > 0)


def test_of_a_long_row_the_fields_asked_for_are_shown() -> None:
    middle = "; ".join(f"Field {number}: nothing of note" for number in range(60))
    quote = first_quote("When is the inspection of ZX-1?", f"Device: ZX-1; {middle}; Inspection: 2026-09-14; End: x")

    assert "Device: ZX-1;" in quote
    assert "Inspection: 2026-09-14" in quote
    assert len(quote) <= MAX_QUOTE_CHARS + len("… ") * 4


@pytest.mark.parametrize("max_tokens", [1, 5, 30, 45])
def test_max_tokens_cut_the_answer_at_a_word(max_tokens: int) -> None:
    whole = "".join(delta.content for delta in answer("When was the mill rebuilt?", [hit(MILLS)]))
    deltas = answer("When was the mill rebuilt?", [hit(MILLS)], max_tokens=max_tokens)
    text = "".join(delta.content for delta in deltas)

    assert deltas[-1].finish_reason == "length"
    assert estimate_tokens(text) <= max_tokens
    assert whole.startswith(text)
    assert whole[len(text)].isspace()
    assert max_tokens < 5 or text


def test_enough_tokens_change_nothing() -> None:
    question = "When was the mill rebuilt?"
    assert answer(question, [hit(MILLS)], max_tokens=4000) == answer(question, [hit(MILLS)])


@pytest.mark.parametrize(("stop", "end"), [(("flood", "1843"), "rebuilt in "), (("no model here", ""), "” [1]")])
def test_a_stop_sequence_ends_the_answer_before_it(stop: tuple[str, ...], end: str) -> None:
    deltas = answer("When was the mill rebuilt?", [hit(MILLS)], stop=stop)

    assert "".join(delta.content for delta in deltas).endswith(end)
    assert deltas[-1].finish_reason == "stop"


def test_without_passages_nothing_is_claimed_of_the_search() -> None:
    assert "given no passages" in NOTHING_FOUND
    assert "window may have been too small" in NOTHING_FOUND
    assert "searched" not in NOTHING_FOUND
    assert "nothing in them matches" not in NOTHING_FOUND


OFF_TOPIC = "Write names in capital letters on each label. " + MILLS


def test_one_common_word_does_not_make_an_answer() -> None:
    parts = answer_parts("What is the capital of France?", [hit(HERONS, 0.55), hit(OFF_TOPIC)])

    assert parts[0] == f"{QUOTING} {CLOSEST}"
    assert "Nothing in the documents found matches" in CLOSEST
    assert parts[1:] == ["\n\n“Write names in capital letters on each label.” [2]"]


def test_the_closest_passage_is_one_that_stands_so_in_the_document() -> None:
    (_, quote) = answer_parts("Vacation policy?", [hit("Herons nest in tall trees. Chair: Obi. The mill stands here.")])
    assert quote == "\n\n“Herons nest in tall trees.” [1]"


def test_what_the_retriever_is_sure_of_is_quoted() -> None:
    parts = answer_parts("What do herons eat?", [hit(HERONS, 0.75)])
    assert parts[0] == QUOTING


def test_an_identifier_that_no_document_has_is_not_answered_with_another_row(handbook: list[list[Hit]]) -> None:
    hits = [each for file in handbook for each in file]
    assert CLOSEST in answer_parts("When is the next inspection of ZX-9999-X?", hits)[0]


@pytest.mark.parametrize(
    "question", ["What is the capital of France?", "Who won the football world cup?", "How tall is Mount Everest?"]
)
def test_an_off_topic_question_gets_no_answer(handbook: list[list[Hit]], question: str) -> None:
    assert CLOSEST in answer_parts(question, [each for file in handbook for each in file])[0]


@pytest.mark.parametrize("sign", ["|", " | ", ";", "a: b; ", ".", "- ", "{", "\t", "a:", "\n", " ", "]."])
def test_hostile_text_takes_no_time(sign: str) -> None:
    started_at = time.thread_time()
    answer_parts("What is a mill?", [hit("mill " + sign * (40_000 // len(sign)) + "\n" + "x" * 9)])
    assert time.thread_time() - started_at < 2.0  # quadratic work takes minutes at this size


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The herons nested", ["heron", "nest"]),
        ("AX-204 and x_y", ["ax-204", "x_y"]),
        ("水車小屋", ["水車", "車小", "小屋"]),
        ("", []),
    ],
)
def test_terms_are_words_without_endings(text: str, found: list[str]) -> None:
    assert terms(text) == found


def test_ten_chunks_take_few_milliseconds() -> None:
    hits = [hit((HERONS + " " + MILLS) * 7, index / 10) for index in range(10)]
    answer_parts("When was the mill rebuilt?", hits)
    durations = []
    for _ in range(5):
        started_at = time.thread_time()
        answer_parts("When was the mill rebuilt after the flood?", hits)
        durations.append(time.thread_time() - started_at)
    print(f"extractive: {min(durations) * 1000:.2f} ms")
    assert min(durations) < 0.02
