"""Serve a labeller's page until it is interrupted."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Sequence
from pathlib import Path

from w2s_rm.people.address import holding
from w2s_rm.people.agreement import agreement_text, of_judgements
from w2s_rm.people.questions import questions
from w2s_rm.people.server import Server
from w2s_rm.people.sitting import Sitting, read_judgements
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
        port (`int`, *optional*): Where; by default that of the last time.

    Raises:
        InUseError: A live process serves this labeller.
        DataError: The file cannot be added to.
        OSError: The port is taken.
    """
    with holding(path, labeller) as hold:
        asked = questions(examples, labeller, has_classes=has_classes)
        # Only under the lock: of two servers of one labeller neither would know what the other is told.
        sitting = Sitting(path, labeller, asked, ties)

        def summary() -> str:
            said = read_judgements(path)
            return agreement_text(of_judgements(said)) if said else f"{path}: no answers"

        about = {"title": title, "question": question}
        last = hold.last if port is None else dataclasses.replace(hold.last, port=port)
        with Server(sitting, about, summary, last) as server:
            hold.listen_at(server.address)
            if sitting.was_unfinished:
                print(f"{path}: removed a last line that was not written to its end; it was not acknowledged")
            print(f"{path}: {sitting.n_answered} of {len(asked)} examples are answered by {labeller}")
            # Whoever starts the command from a program waits for the address.
            print(f"open {server.address} (Ctrl-C ends; each answer is on the disk as soon as it is given)", flush=True)
            # What ends services ends this one as Ctrl-C does, which shells keep from commands in the background.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print(
                    f"\n{path}: {sitting.n_answered} of {len(asked)} examples are answered by {labeller}\n{summary()}"
                )
