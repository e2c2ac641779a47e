"""What the whole suite needs."""

import signal

# Started in the background by a shell, the suite would pass its deafness for Ctrl-C on to the commands it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
