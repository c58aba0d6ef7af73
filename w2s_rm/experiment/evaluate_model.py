"""Score a saved reward model on a task's comparisons: by the stage that scores models in experiments."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from w2s_rm.data.examples import write_examples
from w2s_rm.data.predictions import read_predictions
from w2s_rm.data.splits import SIZES, SplitSizes
from w2s_rm.errors import ConfigError, DataError, join_problems
from w2s_rm.experiment.selection import select_task
from w2s_rm.files import write_yaml
from w2s_rm.report.evaluation import Evaluation, judge
from w2s_rm.runs.folder import StageFolder
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.tasks.reward_bench import RewardBench
from w2s_rm.training.facts import TEXT
from w2s_rm.types import Example, Predictions, Task

if TYPE_CHECKING:
    from w2s_rm.integrations.reward_model import RewardModel

# Of models that come from elsewhere: as RewardBench's own script has it.
_MAX_LENGTH = 2048


@dataclass(frozen=True)
class Judgement:
    """An evaluation and what it is of.

    Args:
        model (`str`): Folder or hub id.
        task (`str`): The task's name.
        options (`Mapping`): The task's options.
        scoring (`Mapping`): `max_length` and the precision under which candidates were scored.
        without_truth (`int`): Comparisons that have no better response, left out.
        counts (`Mapping`): Tokens, and prompts and candidates that were cut.
        evaluation ([`~w2s_rm.report.evaluation.Evaluation`]): The result.
    """

    model: str
    task: str
    options: Mapping[str, Any]
    scoring: Mapping[str, Any]
    without_truth: int
    counts: Mapping[str, Any]
    evaluation: Evaluation

    def record(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        described = {option.name: getattr(self, option.name) for option in dataclasses.fields(self)}
        return {**described, "evaluation": self.evaluation.record()}


def evaluate_model(
    name: str,
    task_name: str,
    overrides: Sequence[str] = (),
    *,
    batch_size: int | None = None,
    max_length: int | None = None,
) -> Judgement:
    """Score a saved reward model on all comparisons of a task.

    A model that a stage trained is scored as in its experiment: same `max_length`, same precision. Others are cut at
    2,048 tokens, or at what they take, and computed in bfloat16 on accelerators.

    Args:
        name (`str`): Folder or hub id of the model.
        task_name (`str`): A registered task of comparisons.
        overrides (`Sequence[str]`): `key=value` options of the task.
        batch_size (`int`, *optional*): Comparisons in a batch, on each device.
        max_length (`int`, *optional*): Most tokens in a row, in place of the one named above.

    Raises:
        ConfigError: The task has no comparisons or no ground truth, an option is wrong, or the model is no whole reward
            model.
        DataError: The data cannot be read.
        NonFiniteError: A score is NaN or infinite.
    """
    task = _select(task_name, overrides)
    loaded = _checked_model(name)
    scoring = _scoring(loaded) | ({"max_length": max_length} if max_length is not None else {})
    # The benchmark's prompts are messages of a user, and a model with a template was trained on such.
    templated = loaded.tokenizer.chat_template is not None and loaded.trained_on != TEXT
    if isinstance(task, RewardBench) and templated and not any(text.startswith("format=") for text in overrides):
        task = _select(task_name, [*overrides, "format=conversational"])
    examples, subsets = _read(task, task_name)
    kept = [index for index, example in enumerate(examples) if example.gold is not None]
    if not kept:
        raise DataError(f"task {task_name}: no comparison has a better response; nothing can be measured")
    without_truth = len(examples) - len(kept)
    examples, subsets = [examples[index] for index in kept], [subsets[index] for index in kept]
    size = {"per_device_eval_batch_size": batch_size} if batch_size is not None else {}
    config = {"setting": task.setting, "head": "reward", "model_name_or_path": loaded.path, **scoring, **size}
    # The stage loads it again, and two copies may be more than the memory holds.
    del loaded
    predictions, counts = _score(config, examples)
    evaluation = judge(examples, predictions, subsets, sections=isinstance(task, RewardBench))
    options: Mapping[str, Any] = {key: getattr(task, key) for key in _options(task)}
    return Judgement(name, task_name, options, scoring, without_truth, counts, evaluation)


def _options(task: Any) -> list[str]:
    return [option.name for option in dataclasses.fields(task)]


def _select(task_name: str, overrides: Sequence[str]) -> Task:
    task, sizes = select_task(task_name, overrides)
    if sizes != SplitSizes():
        raise ConfigError(f"evaluate scores every comparison; remove {', '.join(SIZES)}")
    if task.classes is not None:
        raise ConfigError(
            f"task {task_name} asks for one of the classes {', '.join(map(repr, task.classes))}, and a reward model "
            "compares responses; give a task of comparisons, such as reward_bench or preference"
        )
    if not task.has_ground_truth:
        raise ConfigError(f"task {task_name} does not say which response is better; name the column that does")
    return task


def _read(task: Task, task_name: str) -> tuple[list[Example], list[str | None]]:
    """Read examples and, where rows have a column of that name, their subsets."""
    examples: list[Example] = []
    subsets: list[str | None] = []
    problems: list[str] = []
    # Row by row, since an example does not know its subset.
    for row in task.rows():
        try:
            examples.append(task.to_example(row))
        except DataError as error:
            problems.append(str(error))
        # RewardBench's name for the kinds of its comparisons; other files may use it too.
        subset = row.values.get("subset")
        subsets.append(None if subset is None else str(subset))
    if problems:
        raise DataError(join_problems(f"task {task_name}: {len(problems)} rows cannot be used", problems))
    return examples, subsets


def _checked_model(name: str) -> RewardModel:
    """Load a model once to check it: the stage would give a head without weights random ones."""
    import torch

    if not torch.accelerator.is_available():
        # Otherwise DeepSpeed says on standard output that it looked for one.
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    from w2s_rm.integrations.reward_model import load_reward_model

    return load_reward_model(name)


def _scoring(loaded: RewardModel) -> dict[str, Any]:
    """Return how a model was scored in training; a model of which that is not known is no longer than RewardBench."""
    import torch

    # Facts are written all at once: where one is known, all are, and a `max_length` of `None` then means no limit.
    known = loaded.bf16 is not None
    length = loaded.max_length if known else min(_MAX_LENGTH, loaded.max_length or _MAX_LENGTH)
    return {"max_length": length, "bf16": loaded.bf16 if known else torch.accelerator.is_available(), "dtype": "auto"}


def _score(config: Mapping[str, Any], examples: Sequence[Example]) -> tuple[Predictions, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="w2s-rm-") as folder:
        root = Path(folder)
        write_examples(root / "examples.parquet", examples)
        write_yaml(root / "stage.yaml", {"stage": "evaluate", "examples": str(root / "examples.parquet"), **config})
        Evaluate.run(["--config", str(root / "stage.yaml"), "--output_dir", str(root / "out")])
        counts = StageFolder(root / "out").manifest()["counts"]
        return read_predictions(root / "out" / "predictions.parquet"), dict(counts)
