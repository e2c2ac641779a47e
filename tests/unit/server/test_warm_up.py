"""Whatever stops the model from loading is said by the health check."""

import pytest

from rag.errors import UpstreamError
from server.services.warm_up import WarmUp


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UpstreamError("no such model"), "no such model"),
        (OSError("/secret/path is not readable"), "OSError"),
        (RuntimeError("CUDA out of memory"), "RuntimeError"),
    ],
    ids=["own", "disk", "torch"],
)
def test_any_failure_to_load_is_failed(error: Exception, told: str) -> None:
    def load() -> None:
        raise error

    warm_up = WarmUp(load)
    warm_up._run()
    assert warm_up.state == "failed"
    assert told in warm_up.message
    assert "/secret" not in warm_up.message
