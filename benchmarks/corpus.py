"""Text to measure with: a BEIR folder given by the user, or sentences made up from a fixed vocabulary."""

import json
import random
from pathlib import Path

SUBJECTS = (
    "the pump,the valve,a bearing,the control unit,each filter,the shaft seal,the heat exchanger,an operator".split(",")
)
VERBS = "reduces,exceeds,requires,measures,replaces,protects,connects,releases,limits,indicates".split(",")
OBJECTS = "the inlet pressure,a flow of oil,the ambient temperature,the second stage,an alarm,the safety circuit".split(
    ","
)
TAILS = "during start-up,after maintenance,at full load,when the tank is empty,in the first hour,below the limit".split(
    ","
)


def read_texts(corpus_dir: Path | None, count: int) -> list[str]:
    """`count` texts of about 1,000 characters each, all different."""
    words = _beir_words(corpus_dir) if corpus_dir else _made_up_words(count * 200)
    size = 165
    return [
        " ".join(words[start % len(words) : start % len(words) + size]) + f" Item {start}."
        for start in range(0, count * size, size)
    ]


def _beir_words(corpus_dir: Path) -> list[str]:
    lines = (corpus_dir / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    return [word for line in lines for word in json.loads(line)["text"].split()]


def _made_up_words(count: int) -> list[str]:
    chooser = random.Random(7)
    words: list[str] = []
    while len(words) < count:
        number = chooser.randint(2, 9999)
        sentence = f"{chooser.choice(SUBJECTS)} {chooser.choice(VERBS)} {chooser.choice(OBJECTS)} {chooser.choice(TAILS)} by {number} units."
        words += sentence.capitalize().split()
    return words


def read_queries(corpus_dir: Path | None, count: int) -> list[str]:
    """`count` different questions."""
    if corpus_dir:
        lines = (corpus_dir / "queries.jsonl").read_text(encoding="utf-8").splitlines()
        base = [str(json.loads(line)["text"]) for line in lines]
    else:
        chooser = random.Random(11)
        base = [f"what {chooser.choice(VERBS)} {chooser.choice(OBJECTS)} {chooser.choice(TAILS)}" for _ in range(count)]
    return [f"{base[index % len(base)]} {index}" for index in range(count)]
