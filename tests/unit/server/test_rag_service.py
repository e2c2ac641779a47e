import pytest

from rag.chunkers.tokens import EstimatedCounter
from server.services.rag import first_tokens


@pytest.mark.parametrize("text", ["one two three", "", "   spaces   here "])
@pytest.mark.parametrize("count", [1, 2, 100])
def test_first_tokens_is_a_beginning_of_at_most_that_many_tokens(text: str, count: int) -> None:
    counter = EstimatedCounter(512)
    cut = first_tokens(text, count, counter)
    assert text.startswith(cut)
    assert counter.count(cut) <= count
    if counter.count(text) <= count:
        assert cut == text
