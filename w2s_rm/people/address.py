"""Where a labeller's page is: the same address each time, so that a page that is open goes on with another server."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from w2s_rm.errors import DataError, InUseError

HOST = "127.0.0.1"
LAST_PORT = (1 << 16) - 1
# Bytes of the file that holds an address.
_LENGTH = 256
# What `secrets.token_urlsafe` writes.
_WORD = re.compile(r"[\w-]+", re.ASCII)


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
        home (`int`): The port that the next server tries first: a browser may keep answers for a page there, while
            another program has the port. 0 where there was no server.
        salt (`str`): What the page does not know, and names of its questions are made of.
        number (`int`): Descriptor of the file in which it stands.
    """

    last: Address
    home: int
    salt: str
    number: int

    def listen_at(self, address: Address, home: int) -> None:
        """Tell the next server, and whoever tries to be a second one.

        Args:
            address ([`Address`]): Where this process listens.
            home (`int`): The port that the next one tries first.
        """
        content = json.dumps({**asdict(address), "home": home, "salt": self.salt}).encode()
        # In place and not renamed over, for the lock is on this very file; and always as long, so that whoever reads
        # at the same time finds no rest of an older one behind it.
        os.pwrite(self.number, content.ljust(_LENGTH), 0)


@contextlib.contextmanager
def holding(path: Path, labeller: str) -> Iterator[Hold]:
    """Hold a labeller's part of a file; the operating system lets go of it when the process dies.

    Several labellers work on one file at once, each with a server of his own. The address lies beside the file, as
    `.<file>.<labeller>.address`, for the owner alone.

    Args:
        path (`Path`): The file of judgements, or a link to it.
        labeller (`str`): Who answers.

    Raises:
        InUseError: A live process serves this labeller; says where.
        DataError: The file with the address is damaged.
    """
    # Through links, for by whatever name it is called, the file is one.
    file = path.resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    place = file.with_name(f".{file.name}.{labeller}.address")
    # The token in it is all that keeps another user of the machine from the page.
    number = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            last = _kept(place, number).last
            where = f"open {last}" if last.port else "open the page of its server"
            raise InUseError(
                f"{path}: {labeller} is labelling it already; {where}, end that server with Ctrl-C, or name another "
                "--labeller"
            ) from None
        yield _kept(place, number)
    finally:
        os.close(number)


def _kept(place: Path, number: int) -> Hold:
    """What the last server has left."""
    content = os.pread(number, 2 * _LENGTH, 0)
    new_token, new_salt = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    if not content:
        return Hold(Address(0, new_token), 0, new_salt, number)
    try:
        told = json.loads(content)
        port, token = told["port"], told["token"]
        # Older versions wrote no more than these two.
        home, salt = told.get("home", port), told.get("salt", new_salt)
        whole = all(type(one) is int and 0 <= one <= LAST_PORT for one in (port, home))
        whole = whole and all(isinstance(text, str) and _WORD.fullmatch(text) for text in (token, salt))
    except (ValueError, TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise DataError(
            f"{place}: holds no address of a labelling page; remove it: the page then has a new address, and answers "
            "that a browser keeps for the old one are not sent"
        )
    return Hold(Address(port, token), home, salt, number)
