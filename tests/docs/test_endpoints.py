"""The reference of endpoints is what the app says of itself."""

from server.reference import PAGE, render
from tests.api.document import document


def test_the_page_is_made_from_the_document() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(document()), "run `python -m server.reference`"
