"""The lock under which C++ operations are built: a killed process must not stop those that come after it."""

from __future__ import annotations

import fcntl
import os

from torch.utils import cpp_extension
from torch.utils.file_baton import FileBaton


class BuildLock(FileBaton):
    """The right to build an extension, which the operating system takes back from a process that dies.

    torch takes the file that it creates itself for the lock, so that a build that is killed leaves one behind, and
    every later process waits for ever, without a word: https://github.com/pytorch/pytorch/issues/189245. Here the
    lock is on the file. As upstream mended it, a process that had to wait builds too, and finds nothing left to do.
    """

    _held: int

    def try_acquire(self) -> bool:
        """Wait for the right to build; always granted in the end."""
        while True:
            self._held = os.open(self.lock_file_path, os.O_CREAT | os.O_RDWR)
            fcntl.flock(self._held, fcntl.LOCK_EX)
            if self._is_current():
                return True
            os.close(self._held)

    def release(self) -> None:
        """Give the right back."""
        # Removed, because a process that does not know this class waits for as long as the file is there; and while the
        # lock is held, so that it is not another's.
        if self._is_current():
            os.remove(self.lock_file_path)
        os.close(self._held)

    def _is_current(self) -> bool:
        """Whether the file that is locked is the one that others find; its last holder may have removed it."""
        try:
            return os.path.samestat(os.fstat(self._held), os.stat(self.lock_file_path))
        except FileNotFoundError:
            return False


def lock_builds() -> None:
    """Build the extensions of this process under locks that die with their holder; call it before DeepSpeed begins."""
    # torch looks the class up in its module.
    vars(cpp_extension)[FileBaton.__name__] = BuildLock
