"""What a saved model knows of its training, in a file in its folder, so that it may be moved. No torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from w2s_rm.errors import ConfigError
from w2s_rm.files import write_json
from w2s_rm.types import Text

FILE = "w2s_rm.json"
CONVERSATIONS, TEXT = "conversations", "text"


def kind_of(text: Text) -> str:
    """Name the kind of a text.

    Args:
        text (`str` or `Messages`): Text or messages.
    """
    return TEXT if isinstance(text, str) else CONVERSATIONS


@dataclass(frozen=True)
class ScoringFacts:
    """What a saved reward model must know of its training to be scored as it was there; it lies in the model's folder.

    Args:
        trained_on (`str`, *optional*): `conversations` or `text`; `None` where that is not known.
        head (`str`, *optional*): How it scores candidates.
        max_length (`int`, *optional*): Tokens to which rows were cut; `None` for no limit, or where it is not known.
        bf16 (`bool`, *optional*): Whether training computed in bfloat16; `None` where that is not known.
    """

    trained_on: str | None = None
    head: str | None = None
    max_length: int | None = None
    bf16: bool | None = None


def write_facts(folder: Path, facts: ScoringFacts) -> None:
    """Write the facts beside a saved model.

    Args:
        folder (`Path`): The model's folder.
        facts ([`ScoringFacts`]): What to write.
    """
    write_json(folder / FILE, dataclasses.asdict(facts))


def read_facts(model_name_or_path: str) -> ScoringFacts:
    """Return what is known of a model's training: nothing, where its folder has no such file.

    Args:
        model_name_or_path (`str`): Folder or hub id.

    Raises:
        ConfigError: The file does not parse, or says something that no model has.
    """
    from transformers.utils import cached_file

    # Models from elsewhere have no such file, and without network it cannot be asked for: both are no error.
    path = cached_file(
        model_name_or_path,
        FILE,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    if path is None:
        return ScoringFacts()
    names, remedy = [option.name for option in dataclasses.fields(ScoringFacts)], "write it again, or remove the file"
    try:
        facts = ScoringFacts(**json.loads(Path(path).read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: says something else than {', '.join(names)} ({error}); {remedy}") from error
    if facts.trained_on not in (CONVERSATIONS, TEXT, None):
        raise ConfigError(f"{path}: trained_on is {facts.trained_on!r}; write {CONVERSATIONS} or {TEXT}")
    if facts.max_length is not None and (not isinstance(facts.max_length, int) or facts.max_length < 1):
        raise ConfigError(f"{path}: max_length is {facts.max_length!r}, no number of tokens; {remedy}")
    return facts
