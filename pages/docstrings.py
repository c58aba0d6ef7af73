"""Docstrings as the site wants them: links with their whole path, and types without marks, which it prints as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_REFERENCE = re.compile(r"\[`~?([\w.]+)`\](?![\[(])")
# TRL's form: name (`type`, *optional*, defaults to `x`): what it is.
_ARGUMENT = re.compile(r"^( +\w+ \()(.+?)(\):)(?=\s)", re.MULTILINE)
# The site has the default from the signature, in a column of its own.
_MARKS = re.compile(r", defaults to .*$|[`*]")


class Plainer(griffe.Extension):
    """Rewrites each docstring once."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """See griffe."""
        if obj.docstring is not None:
            obj.docstring.value = _REFERENCE.sub(_link, _ARGUMENT.sub(_plain, obj.docstring.value))


def _plain(found: re.Match[str]) -> str:
    names = _REFERENCE.sub(lambda reference: reference[1].rpartition(".")[2], found[2])
    return found[1] + _MARKS.sub("", names) + found[3]


def _link(found: re.Match[str]) -> str:
    path = found[1]
    name = path.rpartition(".")[2]
    return f"[`{name}`][{path}]" if path.startswith("w2s_rm.") else f"`{name}`"
