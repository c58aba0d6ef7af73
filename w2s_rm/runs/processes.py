"""No orphans: a stage launched by a run ends with it, and never writes into a folder that others take over."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

LAUNCHED_VARIABLE = "W2S_RM_LAUNCHED"
"""Set in the environment of a stage that a run has launched."""
WATCHED_VARIABLE = "W2S_RM_WATCHED"
"""Set where a run draws in the terminal how far its stages are: they show no bars of their own."""


def die_with_run() -> None:
    """In a process that a run has launched, as [`die_with_parent`]; in others nothing."""
    if LAUNCHED_VARIABLE in os.environ:
        die_with_parent()


def die_with_parent() -> None:
    """On Linux, ask for SIGKILL when the process that started this one ends, however it ends."""
    if sys.platform == "linux":
        # Of linux/prctl.h; Python has neither the call nor the name.
        pr_set_pdeathsig = 1
        # Not a signal that a process may catch and take its time over: by then the folder may have a new holder.
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
