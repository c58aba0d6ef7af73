"""The words of a starter recipe."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from w2s_rm.experiment.dataset_form import Form
from w2s_rm.experiment.recipe import is_run_name

# The half-width of a 95 % interval, in standard errors.
_Z = 1.96


@dataclass(frozen=True)
class Found:
    """What reading a dataset has shown.

    Args:
        form ([`~w2s_rm.experiment.dataset_form.Form`]): The task and its options, with the grouping.
        sizes (`dict[str, Any]`): Fields of [`~w2s_rm.data.splits.SplitSizes`] that fit.
        count (`int`): How many examples there are.
        max_length (`int`): Tokens for nearly all examples, by the number of their characters.
    """

    form: Form
    sizes: dict[str, Any]
    count: int
    max_length: int


def run_name(dataset: str) -> str:
    """Name a run after a dataset.

    Args:
        dataset (`str`): File, folder or hub id.
    """
    # `train.jsonl.gz` -> `train`.
    stem = PurePosixPath(dataset).name.split(".")[0]
    name = re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_").lower()
    # Nothing may be left of it, or a word that is taken, such as `report`.
    return name if is_run_name(name) else f"my_{name}".rstrip("_")


def recipe_text(found: Found, weak: str, strong: str, layers: int | None, output: Path) -> str:
    """Write a starter recipe as YAML with comments.

    Args:
        found ([`Found`]): What the dataset holds.
        weak (`str`): The supervisor's model.
        strong (`str`): The model of student and ceiling.
        layers (`int`, *optional*): How many layers the weak model keeps, where both are one.
        output (`Path`): Where the recipe will be, for the commands in its header.
    """
    name = run_name(found.form.options["path"])
    weak_train = (
        "" if layers is None else f"    model_init_kwargs: {{num_hidden_layers: {layers}}}   # of the strong one's\n"
    )
    return f"""\
# A starter recipe: weak-to-strong generalization on {found.form.options["path"]}. Paths start where it is run.
#
#   w2s-rm check {output}     # leaks, shortcuts, balance, and how much max_length cuts: before you believe a result
#   w2s-rm plan {output}      # the stages, with the command of each
#   w2s-rm run {output}       # trains, labels and judges; the report is runs/{name}/report.md
#
# A second run computes only what has changed. Every key: docs/recipes.md.
name: {name}
task:
{"".join(_task_lines(found.form, found.sizes, found.count))}\
# The supervisor: trained on the truth of one half of the training examples, it labels the other half.
weak:
  model_name_or_path: {_value(weak)}
  train:
{weak_train}\
    learning_rate: 2.0e-5
# Student (trained on these labels) and ceiling (on the truth of the same examples).
strong:
  model_name_or_path: {_value(strong)}
  train:
    learning_rate: 1.0e-5   # a model of 20M parameters takes 1e-4, one of 7B 5e-6
  # use_peft: true          # LoRA: for a model that does not fit in full, 16 bytes a parameter
methods:
  naive: {{loss: {{name: cross_entropy}}}}
  logconf: {{loss: {{name: log_confidence, max_weight: 0.5}}}}   # more: w2s-rm list losses, docs/methods.md
train:
  num_train_epochs: 1
  per_device_train_batch_size: 16
  max_length: {found.max_length}   # tokens, a guess from the number of characters
  bf16: true   # false on a processor without bf16 instructions
seeds: [0, 1, 2]   # each repeats all training; [0] for a first look
# accelerate_config: zero3   # several GPUs: w2s-rm list deepspeed_configs, docs/scale.md
"""


def _task_lines(form: Form, sizes: Mapping[str, Any], count: int) -> Iterator[str]:
    yield f"  name: {form.task}\n"
    for option, value in form.options.items():
        remark = form.remarks.get(option)
        yield f"  {option}: {_value(value)}" + (f"   # {remark}\n" if remark else "\n")
    for line in form.more:
        yield f"  # {line}\n"
    for option, value in sizes.items():
        remark = _size_remarks(count).get(option, lambda _: "")(value)
        yield f"  {option}: {_value(value)}" + (f"   # {remark}\n" if remark else "\n")


def _size_remarks(count: int) -> Mapping[str, Any]:
    return {
        "n_train": lambda _: f"of {count:,} examples; one half for the supervisor, one for student and ceiling",
        "n_test": lambda n: f"an accuracy near one half is then known to ±{100 * _Z * 0.5 / math.sqrt(n):.1f} points",
    }


def _value(value: Any) -> str:
    """A value as YAML in one line; `no` and `yes` in quotes."""
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    # PyYAML puts three dots behind a document that is a plain word or number.
    return text.removesuffix("\n").removesuffix("\n...")
