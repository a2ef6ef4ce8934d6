"""Owns that no child outlives its parent, however the parent ends."""

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_this_process() -> Callable[[], None]:
    """What a child runs before it becomes its program (`preexec_fn`): Linux then kills it when the thread that started it ends.

    Start children from the main thread. On systems without `prctl` it does nothing.
    """
    parent = os.getpid()

    def tie() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        except (OSError, AttributeError):
            return
        if os.getppid() != parent:
            os._exit(1)

    return tie
