"""LlamaParse: documents, and a result object with its pages."""

import asyncio

from connect import FOLDER, KEY, URL, report
from llama_cloud_services import LlamaParse


def parser() -> LlamaParse:
    """A new one for each event loop: it stays with the first that it met."""
    return LlamaParse(api_key=KEY, base_url=URL, result_type="markdown", check_interval=1, verbose=False)


documents = parser().load_data(str(FOLDER / "handbook.pdf"))
result = asyncio.run(parser().aparse(str(FOLDER / "handbook.pdf")))
report(
    documents=[each.text for each in documents],
    pages=[each.text for each in result.pages],
    markdown=[each.md for each in result.pages],
    job=bool(result.job_id),
)
