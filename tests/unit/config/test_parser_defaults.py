"""Where two names of one parser have other defaults."""

from collections.abc import Mapping
from typing import Any

import pytest

from config.processing import plan_processing
from config.rag_section import DataProcessingStrategy, EmbeddingStrategy
from rag.chunkers.tokens import EstimatedCounter


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("DocxParser_PythonDocx", {}, None),
        ("DocxParser_LlamaIndex", {}, False),
        ("DocxParser_LlamaIndex", {"include_header_footer": True}, True),
    ],
)
def test_page_margins_are_read_as_the_name_says(name: str, config: Mapping[str, Any], expected: bool | None) -> None:
    strategy = {"name": "s", "parsers": [{"type": name, "config": config}]}
    embedding = EmbeddingStrategy(name="e", type="HashEmbedder")
    plan = plan_processing(DataProcessingStrategy.model_validate(strategy), embedding, EstimatedCounter(512))
    assert plan.parse_routes[0].parser.options.include_header_footer is expected
