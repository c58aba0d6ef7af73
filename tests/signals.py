"""What a process that a test starts makes of signals."""

from __future__ import annotations

import signal


def hear_ctrl_c() -> None:
    """As in a terminal: what a shell starts in the background ignores it, and so would a run of this suite."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
