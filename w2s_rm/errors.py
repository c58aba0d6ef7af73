"""Errors a user can act on: each names the place, the cause and the remedy.

Every error derives from [`W2SError`] and from the builtin that describes it best, so that callers may catch either.
The command line turns a `W2SError` into one message and exit code 2.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Mapping, Sequence

# That of argparse where it cannot read a command line.
EXIT_USER_ERROR = 2
"""Exit code of a program that ended with an error of the user's making."""
_REMEDIES = {
    errno.ENOSPC: "; make room and run the same command again, finished stages are kept",
    errno.EDQUOT: "; make room and run the same command again, finished stages are kept",
    errno.EACCES: "; take a place where you may read and write",
    errno.EPERM: "; take a place where you may read and write",
    errno.EROFS: "; take a place where you may write",
}
# How Rust, in which safetensors is written, ends the message of an error of the operating system.
_RUST_ERROR = re.compile(r"\(os error (\d+)\)")
# Of torch's writer of zip files, which keeps to itself what the operating system said.
_TORCH_UNWRITTEN = ("PytorchStreamWriter failed writing", "inline_container.cc")


class W2SError(Exception):
    """Base of all errors raised on purpose by w2s-rm."""


class ConfigError(W2SError, ValueError):
    """A recipe, a stage config or an option is wrong."""


class OptionError(ConfigError):
    """Options of a dataclass have values that it cannot have.

    Args:
        subject (`str`): What has the options.
        problems (`Mapping[str, str]`): What is wrong with each, and what would be right.
    """

    def __init__(self, subject: str, problems: Mapping[str, str]) -> None:
        # An error comes back from another process by a call with what the base class was given.
        super().__init__(subject, problems)
        self.subject, self.problems = subject, problems

    def __str__(self) -> str:
        lines = [f"{name} {text}" for name, text in self.problems.items()]
        if len(lines) == 1:
            return f"{self.subject}: {lines[0]}"
        return join_problems(f"{self.subject}: invalid options", lines)


class DataError(W2SError, ValueError):
    """A dataset, an example or a label file is wrong."""


class UnknownNameError(W2SError, KeyError):
    """A task, loss, setting or method name does not exist."""

    def __str__(self) -> str:
        # KeyError shows the repr of its message, line breaks escaped.
        return str(self.args[0])


class InUseError(W2SError, RuntimeError):
    """A folder is locked by another live process."""


class ArtifactError(W2SError, RuntimeError):
    """A stage folder is incomplete or does not fit the plan."""


class NonFiniteError(W2SError, ArithmeticError):
    """A loss or a score became NaN or infinite during training."""


class StageError(W2SError, RuntimeError):
    """A stage failed in its own process."""


def system_problem(error: OSError) -> str:
    """Put what the operating system says into one line: where, what, and what helps.

    Args:
        error (`OSError`): No such folder, no permission, no space, or what a library raises in this form.
    """
    # Raised by a library with a text alone; those of transformers have several lines.
    if error.errno is None:
        return " ".join(str(error).split())
    where = f"{error.filename}: " if error.filename is not None else ""
    remedy = _REMEDIES.get(error.errno, "")
    return f"{where}{error.strerror or error}{remedy}"


def unwritten(error: Exception) -> str | None:
    """Put a file that a library could not write into one line; `None` for any other error.

    Safetensors and torch put what the operating system says into errors of their own.

    Args:
        error (`Exception`): Raised by a library.
    """
    said = str(error)
    match = _RUST_ERROR.search(said)
    # By its name: to import safetensors for its class would cost every command that never loads a model.
    if match and type(error).__name__ == "SafetensorError":
        number = int(match[1])
        return system_problem(OSError(number, os.strerror(number)))
    if isinstance(error, RuntimeError) and any(part in said for part in _TORCH_UNWRITTEN):
        return f"torch cannot write a file, most likely for want of space{_REMEDIES[errno.ENOSPC]}"
    return None


def nearest(name: object, known: Iterable[str]) -> str:
    """Return a hint naming the known word nearest to `name`, or the whole list when none is near.

    Args:
        name (`object`): The unknown word; YAML may have read a number or a list where a word belongs.
        known (`Iterable[str]`): All valid words.
    """
    known = sorted(known)
    if not known:
        return "there are none"
    match = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    return f"did you mean {match[0]!r}?" if match else f"known: {', '.join(known)}"


def join_problems(heading: str, problems: Sequence[str], *, most: int = 20) -> str:
    """Format several problems as one message, so that a user mends all of them at once.

    Args:
        heading (`str`): What was being checked, with the place (file).
        problems (`Sequence[str]`): One line each.
        most (`int`, *optional*, defaults to `20`): How many to print; the rest are counted.
    """
    lines = [f"  - {problem}" for problem in problems[:most]]
    if len(problems) > most:
        lines.append(f"  … and {len(problems) - most} more")
    return "\n".join([heading, *lines])
