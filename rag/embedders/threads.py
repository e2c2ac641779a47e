"""Threads in which torch uses one core each."""

import threading
from concurrent.futures import ThreadPoolExecutor


def one_core_threads(count: int) -> ThreadPoolExecutor:
    """Start a pool whose threads compute on one core each; other threads of the process keep their setting.

    Work that is split inside an operator waits at the end of each for its slowest part: with other processes on the
    same cores that costs more than the work itself. Whole batches side by side have nothing to wait for.
    """
    import torch

    before = torch.get_num_threads()
    started = threading.Barrier(count + 1)

    def start() -> None:
        torch.get_num_threads()  # else torch sets the number of this thread once more, at its first product
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="embed", initializer=start)
    for _ in range(count):
        pool.submit(int)
    started.wait()
    # The setting of a running thread is its own, but the last one set is inherited by new threads.
    torch.set_num_threads(before)
    return pool
