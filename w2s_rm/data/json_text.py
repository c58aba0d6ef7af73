"""JSON that somebody else wrote: whatever is wrong with it is one kind of error."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str) -> Any:
    """Read JSON, NaN and infinities as Python writes them.

    Args:
        text (`str`): All of it.

    Raises:
        json.JSONDecodeError: It is none, or more than Python reads: a whole number of more than 4,300 digits, or
            values that stand a thousand deep in each other.
    """
    try:
        return json.loads(text)
    # First, for it is a `ValueError` too, and says where the mistake is.
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise json.JSONDecodeError("a whole number of more digits than Python reads", text, 0) from error
    except RecursionError as error:
        raise json.JSONDecodeError("values stand too deep in each other", text, 0) from error
