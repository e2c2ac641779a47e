"""What is asked of an index or a pipeline → options of its dataset, and what has no effect."""

from typing import Any

import pytest

from rag.errors import BadRequestError
from server.llamacloud.services.chunking_choice import chunk_options
from server.llamacloud.services.parse_wishes import parse_options

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (None, None),
        ({"mode": "auto"}, None),
        ({"mode": "auto", "chunk_size": 100, "chunk_overlap": 10}, ("tokens", 100, 10)),
        ({"mode": "advanced", "chunking_config": {"mode": "character", "chunk_size": 50}}, ("characters", 50, None)),
        (
            {"mode": "advanced", "chunking_config": {"mode": "sentence", "chunk_size": 50, "chunk_overlap": 5}},
            ("sentences", 200, 20),
        ),
        ({"mode": "advanced", "chunking_config": {"mode": "semantic"}}, ("semantic", None, None)),
        ({"mode": "advanced", "segmentation_config": {"mode": "page"}}, ("pages", None, None)),
        ({"mode": "advanced", "chunking_config": {"mode": "none"}}, ("full", None, None)),
    ],
    ids=str,
)
def test_a_transformation_chooses_a_chunker(given: Any, options: Any) -> None:
    expected = None
    if options is not None:
        names = ("chunk_strategy", "chunk_size", "chunk_overlap")
        expected = {name: value for name, value in zip(names, options, strict=True) if value is not None}
    assert chunk_options(given, "unknown-model") == (expected, [])


def test_a_chunk_is_no_larger_than_what_the_embedder_reads() -> None:
    options, _ = chunk_options({"mode": "auto", "chunk_size": 1024, "chunk_overlap": 200}, MINILM)
    assert options is not None
    assert options["chunk_size"] == 254
    assert options["chunk_overlap"] == 200 * 254 // 1024


def test_details_of_cutting_that_have_no_effect_are_named() -> None:
    given = {
        "mode": "advanced",
        "segmentation_config": {"mode": "element", "page_separator": "--"},
        "chunking_config": {"mode": "token", "chunk_size": 10, "separator": " "},
    }
    assert sorted(chunk_options(given, "unknown-model")[1]) == [
        "transform_config.chunking_config.separator",
        "transform_config.segmentation_config.mode: element",
        "transform_config.segmentation_config.page_separator",
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "magic"},
        {"mode": "auto", "chunk_size": "many"},
        {"mode": "auto", "chunk_size": True},
        {"mode": "auto", "chunk_size": 10, "chunk_overlap": 11},
        {"mode": "advanced", "chunking_config": "token"},
        {"mode": "advanced", "chunking_config": {"mode": ["token"]}},
        {"mode": ["auto"]},
    ],
    ids=str,
)
def test_a_transformation_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        chunk_options(given, "unknown-model")


@pytest.mark.parametrize(
    ("given", "options", "ignored"),
    [
        (None, {}, []),
        ({"languages": ["de", "en", "de"]}, {"ocr_languages": "deu+eng"}, []),
        ({"language": "fr"}, {"ocr_languages": "fra"}, []),
        ({"languages": ["de", "klingon"]}, {}, ["languages"]),
        ({"languages": [["de"]]}, {}, ["languages"]),
        ({"processing_options": {"ocr_parameters": {"languages": ["it"]}}}, {"ocr_languages": "ita"}, []),
        ({"disable_ocr": True}, {"use_ocr": False}, []),
        ({"disable_ocr": False, "premium_mode": False, "page_prefix": ""}, {}, []),
        ({"product_type": "parse_v2", "tier": "fast", "output": {"a": {"b": 1}}}, {}, ["tier", "output.a.b"]),
    ],
    ids=str,
)  # fmt: skip
def test_parse_parameters_are_honoured_or_named(given: Any, options: dict[str, Any], ignored: list[str]) -> None:
    assert parse_options(given) == (options, ignored)
