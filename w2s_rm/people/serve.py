"""Serve a labeller's page until it is interrupted."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm.errors import ConfigError, DataError, system_problem
from w2s_rm.people.address import Address, Hold, holding
from w2s_rm.people.agreement import agreement_text, of_judgements
from w2s_rm.people.questions import questions
from w2s_rm.people.server import Server
from w2s_rm.people.sitting import Sitting, check_output, read_judgements
from w2s_rm.types import Example


def serve(
    examples: Sequence[Example],
    path: Path,
    labeller: str,
    *,
    title: str,
    question: str,
    has_classes: bool,
    ties: bool,
    port: int | None = None,
) -> None:
    """Print an address, serve the page there until Ctrl-C or SIGTERM, then print what was done.

    Args:
        examples (`Sequence[Example]`): What is asked.
        path (`Path`): The file of judgements.
        labeller (`str`): Who answers.
        title (`str`): What the page is called.
        question (`str`): What it asks.
        has_classes (`bool`): Whether candidates are classes, which keep their places.
        ties (`bool`): Whether a tie is an answer.
        port (`int`, *optional*): Where; by default where the labeller's page was first, where it was last, or at any
            that is free.

    Raises:
        InUseError: A live process serves this labeller.
        DataError: The file cannot be added to.
        ConfigError: It has the name of no file of judgements, or the port is taken.
    """
    check_output(path)
    with holding(path, labeller) as hold:
        asked = questions(examples, labeller, has_classes=has_classes, salt=hold.salt)
        # Only under the lock: of two servers of one labeller neither would know what the other is told.
        sitting = Sitting(path, labeller, asked, ties)

        def summary() -> str:
            try:
                said = read_judgements(path, growing=True)
                return agreement_text(of_judgements(said)) if said else f"{path}: no answers"
            except DataError as error:
                # Whoever edits the file while it is served: answers are written all the same.
                return f"no summary: {error}"

        about = {"title": title, "question": question}
        with _served(sitting, about, summary, hold, port) as server:
            hold.listen_at(server.address, port or hold.home or server.address.port)
            if sitting.was_unfinished:
                print(f"{path}: removed a last line that was not written to its end; it was not acknowledged")
            print(f"{path}: {sitting.n_answered} of {len(asked)} examples are answered by {labeller}")
            # What ends services ends this one as Ctrl-C does, which shells keep from commands in the background.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                olds = sorted({hold.home, hold.last.port} - {0, server.address.port})
                # Whoever starts the command from a program waits for the address, and may end it at once.
                print("\n".join([_opened(server.address), *(_moved(hold.last, old) for old in olds)]), flush=True)
                server.serve_forever()
            except KeyboardInterrupt:
                print(
                    f"\n{path}: {sitting.n_answered} of {len(asked)} examples are answered by {labeller}\n{summary()}"
                )


def _opened(address: Address) -> str:
    return f"open {address} (Ctrl-C ends; each answer is on the disk as soon as it is given)"


def _moved(last: Address, port: int) -> str:
    return (
        f"the page has another address than before: if a browser keeps answers for {Address(port, last.token)}, free "
        f"that port and start again with --port {port} to have them sent"
    )


def _served(
    sitting: Sitting, about: Mapping[str, Any], summary: Callable[[], str], hold: Hold, port: int | None
) -> Server:
    if port is None:
        # An open page goes on where it was, and one whose port was taken comes back there.
        known = [one for one in dict.fromkeys((hold.home, hold.last.port)) if one]
        return Server(sitting, about, summary, hold.last.token, (*known, 0))
    try:
        return Server(sitting, about, summary, hold.last.token, (port,))
    except OSError as error:
        raise ConfigError(f"--port {port}: {system_problem(error)}; name another one, or none") from error
