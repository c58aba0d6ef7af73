"""Let a language model argue, side by side and turn by turn, and put what it says before a judge's eyes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm.data.endpoints import Endpoint
from w2s_rm.data.examples import read_examples, write_examples
from w2s_rm.data.transcripts import Argument, record, request, sides, with_transcript
from w2s_rm.errors import DataError
from w2s_rm.files import write_text
from w2s_rm.programs.launched import (
    held,
    quiet_progress,
    quiet_warnings,
    read_config,
    refuse_finished,
    shows_progress,
)
from w2s_rm.types import Example, content_hash

# Hidden, so that no manifest vouches for it.
_KEPT = ".answers.jsonl"
"""What an endpoint has said so far."""
Write = Callable[[Sequence[str]], list[str]]
"""Writes an argument for each request."""


def transcripts(argv: Sequence[str]) -> None:
    """Run the stage: writes `transcripts.jsonl` and `examples.parquet`.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.

    Raises:
        DataError: No argument has any text, or what is judged are steps of solutions.
        ConfigError: No language model loads from the path.
    """
    config, output = read_config(argv)
    quiet_warnings()
    if not shows_progress():
        quiet_progress()
    with held(output) as folder:
        refuse_finished(folder)
        examples = read_examples(Path(config["examples"]))
        if any(example.step is not None for example in examples):
            raise DataError(
                f"{config['examples']}: steps of solutions, and debates are about answers; take another supervisor, or "
                "a task without steps"
            )
        write, counts = _writer(config, output / _KEPT)
        said = argue(examples, config, write)
        n_empty = sum(not argument.text.strip() for argument in said)
        if n_empty == len(said):
            # A model's: of an endpoint that writes nothing the first such answer is an error.
            raise DataError(f"{config['model_name_or_path']} writes nothing where it should argue; change `ask`")
        of_example: dict[str, list[Argument]] = defaultdict(list)
        for argument in said:
            of_example[argument.id].append(argument)
        argued = [with_transcript(example, of_example[example.id], config["show"]) for example in examples]
        lines = (json.dumps(record(example, of_example[example.id])) for example in examples)
        write_text(output / "transcripts.jsonl", "".join(f"{line}\n" for line in lines))
        write_examples(output / "examples.parquet", argued)
        # Only once both files are whole: an endpoint's answers are paid for.
        folder.remove(_KEPT)
        made = {
            "form": config["form"],
            "arguments": len(said),
            "empty": n_empty,
            "longest": max(len(argument.text) for argument in said),
            **counts(),
        }
        folder.finish(stage="transcripts", counts=made, config=config)


def argue(examples: Sequence[Example], config: Mapping[str, Any], write: Write) -> list[Argument]:
    """Hold the debates: in a turn all sides speak at once, knowing what was said in the turns before.

    Args:
        examples (`Sequence[Example]`): What is argued about.
        config (`Mapping[str, Any]`): `form`, `turns`, `ask`, `show` and `seed` of the stage.
        write (`Callable`): Writes an argument for each request.

    Returns:
        `list[Argument]`: Example by example, turn by turn, in the order of the candidates.
    """
    said: dict[str, list[Argument]] = {example.id: [] for example in examples}
    speakers = [(example, side) for example in examples for side in sides(example, config["form"], config["seed"])]
    for turn in range(config["turns"]):
        requests = [
            request(config["ask"], example, side, said[example.id], config["show"]) for example, side in speakers
        ]
        # Those of all examples in one call: a model writes full batches, and an endpoint is asked several at once.
        spoken = write(requests)
        for (example, side), text in zip(speakers, spoken, strict=True):
            said[example.id].append(Argument(example.id, turn, side, text))
    return [argument for arguments in said.values() for argument in arguments]


def _writer(config: Mapping[str, Any], kept: Path) -> tuple[Write, Callable[[], dict[str, int]]]:
    """What writes, and counts what that cost; draws depend on seed and number of the transcript."""
    # Seven hexadecimal digits, 28 bits: small enough for whatever takes a seed.
    seed = int(content_hash("transcripts", config["seed"], config["number"], length=7), 16)
    n_tokens, temperature = config["max_new_tokens"], config["temperature"]
    if config.get("endpoint") is not None:
        from w2s_rm.integrations.chat import Chat

        chat = Chat(Endpoint(**config["endpoint"]), kept, max_new_tokens=n_tokens, temperature=temperature, seed=seed)
        return chat, lambda: {"requests": chat.requests, "tokens": chat.tokens}
    from w2s_rm.programs.arguing import Writer

    # `dict`, when it is called, counts nothing: a model of one's own costs no requests.
    return Writer(config["model_name_or_path"], n_tokens, temperature, seed, config), dict
