"""Links of the docstrings as the site knows them: [`~w2s_rm.types.Task`] is a link, [`Task`] the name alone."""

from __future__ import annotations

import re
from typing import Any

import griffe

_REFERENCE = re.compile(r"\[`~?([\w.]+)`\](?![\[(])")


class Links(griffe.Extension):
    """Rewrites each docstring once."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """See griffe."""
        if obj.docstring is not None:
            obj.docstring.value = _REFERENCE.sub(_link, obj.docstring.value)


def _link(found: re.Match[str]) -> str:
    path = found[1]
    name = path.rpartition(".")[2]
    return f"[`{name}`][{path}]" if path.startswith("w2s_rm.") else f"`{name}`"
