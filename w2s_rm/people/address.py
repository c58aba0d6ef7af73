"""Where a labeller's page is: the same address each time, so that a page that is open goes on with another server."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from w2s_rm.errors import InUseError

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Address:
    """Where a server of a labeller listens.

    Args:
        port (`int`): Its port; 0 for any that is free.
        token (`str`): How every path begins: other users of the machine do not know it.
    """

    port: int
    token: str

    def __str__(self) -> str:
        return f"http://{HOST}:{self.port}/{self.token}/"


@dataclass(frozen=True)
class Hold:
    """A labeller's part of a file of judgements, held by this process.

    Args:
        last (`Address`): Where the last server was; a new token and any port where there was none.
        number (`int`): Descriptor of the file in which it stands.
    """

    last: Address
    number: int

    def listen_at(self, address: Address) -> None:
        """Tell the next server, and whoever tries to be a second one.

        Args:
            address ([`Address`]): Where this process listens.
        """
        content = json.dumps(asdict(address)).encode()
        # In place and not renamed over: the lock is on this very file.
        os.pwrite(self.number, content, 0)
        os.truncate(self.number, len(content))


@contextlib.contextmanager
def holding(path: Path, labeller: str) -> Iterator[Hold]:
    """Hold a labeller's part of a file; the operating system lets go of it when the process dies.

    Several labellers work on one file at once, each with a server of his own. The address lies beside the file, as
    `.<file>.<labeller>.address`, for the owner alone.

    Args:
        path (`Path`): The file of judgements.
        labeller (`str`): Who answers.

    Raises:
        InUseError: A live process serves this labeller; says where.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The token in it is all that keeps another user of the machine from the page.
    number = os.open(path.with_name(f".{path.name}.{labeller}.address"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Read before the lock is asked for: who does not get it is told where the page of the other server is.
        known = os.read(number, 1 << 12)
        last = Address(**json.loads(known)) if known else Address(0, secrets.token_urlsafe(24))
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = f"open {last}" if last.port else "open the page of its server"
            raise InUseError(
                f"{path}: {labeller} is labelling it already; {where}, end that server with Ctrl-C, or name another "
                "--labeller"
            ) from None
        yield Hold(last, number)
    finally:
        os.close(number)
