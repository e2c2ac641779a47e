"""How many cores torch uses in which thread."""

import torch

from rag.embedders.threads import one_core_threads


def test_threads_of_the_pool_stay_on_one_core_and_others_keep_theirs() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        pool = one_core_threads(2)
        rows = torch.ones(64, 64)

        found = list(pool.map(lambda _: (rows @ rows, torch.get_num_threads())[1], range(4)))

        assert found == [1, 1, 1, 1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
