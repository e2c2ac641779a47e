"""Kill process groups when the supervisor is gone. Run as a script: `python -I -S guardian.py`.

Every part dies with the supervisor by itself on Linux (exec_child.py), but what a part has forked may not, and
other systems have no such signal. The guardian reads `+GROUP` and `-GROUP` lines; the end of its input, which the
kernel brings about however the supervisor ended, is the order to kill the groups that are left.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
