"""Chat templates that write today's date, as Llama 3's does: without a fixed one, rewards would depend on the day."""

from __future__ import annotations

import datetime
import functools
import re

DATE = datetime.date(2024, 7, 26)
"""The date that every such template writes here; Llama 3's own, where it has no clock."""
_CLOCK = "strftime_now"
# Finds the formats that a template asks for, since the macro below can only list what it answers: Jinja has no
# `strftime`.
_FORMAT = re.compile(_CLOCK + r"\(\s*(?P<quote>['\"])(?P<format>.*?)(?P=quote)\s*\)")
# Llama 3's.
_USUAL = "%d %b %Y"


def writes_date(template: object) -> bool:
    """Whether a chat template asks for today's date.

    Args:
        template (`object`): A tokenizer's `chat_template`: text, templates by name, or `None`.
    """
    return isinstance(template, str) and _CLOCK in template


@functools.lru_cache
def with_fixed_date(template: str) -> str:
    """Return a chat template in which the clock stands still at [`DATE`].

    transformers gives templates a function `strftime_now`; a macro of that name, put before the template, hides it. An
    argument of that name cannot: `apply_chat_template` makes text of arguments that are no plain data.

    Args:
        template (`str`): Jinja source.
    """
    if not writes_date(template):
        return template
    formats = dict.fromkeys([_USUAL, *(match["format"] for match in _FORMAT.finditer(template))])
    # Each begins with `elif`, after an `if false` that is never taken: so the first one needs no form of its own.
    cases = "".join(f"{{%- elif format == {form!r} -%}}{DATE.strftime(form)}" for form in formats)
    # A format that the template makes up as it runs cannot be listed.
    other = f"{{%- else -%}}{DATE.strftime(_USUAL)}{{%- endif -%}}"
    # The empty expression keeps the template's own first line break, which a block's end would swallow.
    return f"{{%- macro {_CLOCK}(format) -%}}{{%- if false -%}}{cases}{other}{{%- endmacro %}}{{{{ '' }}}}{template}"
