import numpy as np
import pytest

from rag.embedders.checks import checked, require_dimension
from rag.errors import EmbeddingError, InvalidInputError


def test_rows_become_unit_length_without_changing_direction() -> None:
    rows = checked([[3.0, 4.0], [0.0, -2.0]], 2)
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, -1.0]], atol=1e-7)
    assert rows.dtype == np.float32


def test_tiny_and_huge_rows_keep_their_direction() -> None:
    np.testing.assert_allclose(checked([[3e-20, 4e-20], [3e30, 4e30]], 2), [[0.6, 0.8]] * 2, atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param([[0.0, 0.0]], "zero", id="zero"),
        pytest.param([[1.0, 0.0], [float("nan"), 0.0]], "text 1 is not finite", id="nan"),
        pytest.param([[float("inf"), 0.0]], "not finite", id="infinite"),
        pytest.param([[1.0]], "length 1; expected 2", id="short"),
        pytest.param([[1.0, 2.0], [1.0]], "length 1, 2", id="ragged"),
        pytest.param([[]], "length 0", id="empty"),
    ],
)
def test_unusable_rows_are_refused(rows: list[list[float]], message: str) -> None:
    with pytest.raises(EmbeddingError, match=message):
        checked(rows, 2)


def test_wrong_count_is_refused() -> None:
    with pytest.raises(EmbeddingError, match="1 vectors for 2 texts"):
        checked([[1.0]], None, expected_count=2)


def test_wrong_dimension_names_both() -> None:
    with pytest.raises(InvalidInputError, match=r"768.*384"):
        require_dimension(768, 384, "m")
    require_dimension(None, 384, "m")
