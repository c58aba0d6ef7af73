"""What a report says about one of several trainings from which a model was chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from w2s_rm.report.rows import group_runs, plain
from w2s_rm.roles import TRAINED
from w2s_rm.runs.plan import Run, read_counts, read_run

# Stages that make a model, without a choice.
_TRAININGS = ("train", "probe")


@dataclass(frozen=True)
class TrialRow:
    """One trial. Everything here is measured on the validation split: of the test split nothing is read of a trial.

    Args:
        recipe (`str`): Name of the recipe.
        setting (`str`): The setting.
        task (`str`): The task.
        of (`str` or `None`): What the model that was chosen is: a word of [`w2s_rm.roles`].
        method (`str` or `None`): The method that it belongs to; `None` where methods share it.
        number (`int`): Tells models of one role, method and seed apart, from 1: members of an ensemble, say.
        seed (`int` or `None`): The seed.
        model (`str`): Name of the folder of the model that was chosen.
        trials (`int`): How many it was chosen from.
        trial (`int`): Which of them this is, from 1.
        values (`Mapping`): What it was trained with, by option.
        chosen (`bool`): Whether it was.
        chosen_by (`str`): `"labels"`, those of the supervisor, or `"truth"`.
        n_validation (`int`): Validation examples.
        validation_loss (`float`): What decides: cross-entropy of these labels, at the best temperature, in nats.
        behind (`float`): How much higher that is than of the one that was chosen.
        behind_half_width (`float`): Half of the 95 % interval of that difference, paired.
        validation_agreement (`float`): Share of examples on which it chooses what the labels name.
        validation_accuracy (`float` or `None`): Share on which it is right, which chose nothing where labels did;
            `None` without ground truth.
        untuned (`tuple[str, ...]`, *optional*): The models of the run that were trained once, with nothing to choose
            from. For the warning alone: not in the files of a report.
    """

    recipe: str
    setting: str
    task: str
    of: str | None
    method: str | None
    number: int
    seed: int | None
    model: str
    trials: int
    trial: int
    values: Mapping[str, Any]
    chosen: bool
    chosen_by: str
    n_validation: int
    validation_loss: float
    behind: float
    behind_half_width: float
    validation_agreement: float
    validation_accuracy: float | None
    untuned: tuple[str, ...] = ()


def collect_trials(run_dir: Path) -> list[TrialRow]:
    """Read the trials of one run, in the order of its plan; empty for one that tuned nothing.

    Args:
        run_dir (`Path`): The run's folder, `runs/<recipe>`.

    Raises:
        ArtifactError: The run is not finished, or its files are broken.
    """
    run, numbers = read_run(run_dir), Counter[tuple[object, ...]]()
    untuned = _untuned(run)
    rows = []
    for stage in run.stages:
        if stage.stage != "choice":
            continue
        # A role may be chosen several times, as in rounds or for the members of an ensemble: they are told apart by
        # number.
        numbers[stage.of, stage.method, stage.seed] += 1
        counts = read_counts(stage)
        for place, trial in enumerate(counts["trials"]):
            rows.append(
                TrialRow(
                    recipe=run.recipe,
                    setting=run.setting,
                    task=run.task,
                    of=stage.of,
                    method=stage.method,
                    number=numbers[stage.of, stage.method, stage.seed],
                    seed=stage.seed,
                    model=stage.folder.name,
                    trials=len(counts["trials"]),
                    trial=place + 1,
                    chosen=place == counts["chosen"],
                    chosen_by=counts["chosen_by"],
                    n_validation=counts["n_validation"],
                    untuned=untuned,
                    # What a choice wrote of it, under the names of the fields.
                    **trial,
                )
            )
    return rows


def _untuned(run: Run) -> tuple[str, ...]:
    """Name the models of which PGR is made that come from one training and no choice."""
    trained_once = {stage.folder.name for stage in run.stages if stage.stage in _TRAININGS}
    # By what was evaluated, for a training stands in a plan once, whatever roles its model has.
    judged = [stage for stage in run.stages if stage.stage == "evaluate" and stage.of in TRAINED and not stage.further]
    names = [role_name(stage.of, stage.method) for stage in judged if not trained_once.isdisjoint(stage.needs)]
    return tuple(dict.fromkeys(names))


def role_name(of: str | None, method: str | None) -> str:
    """Name a model by what it is and the method that it belongs to.

    Args:
        of (`str`, *optional*): A word of [`w2s_rm.roles`].
        method (`str`, *optional*): The method; `None` where methods share it.
    """
    return " ".join(word for word in (of, method) if word)


def trial_record(row: TrialRow) -> dict[str, Any]:
    """Return a row as plain data for JSON: measured figures rounded to six digits, options as they were given.

    Args:
        row ([`TrialRow`]): The row.
    """
    values = {name: value for name, value in asdict(row).items() if name != "untuned"}
    return {name: value if name == "values" else plain(value) for name, value in values.items()}


def values_text(values: Mapping[str, Any]) -> str:
    """Name options with their values: `learning_rate 0.0001, num_train_epochs 2`.

    Args:
        values (`Mapping`): By option.
    """
    return ", ".join(f"{name} {value}" for name, value in values.items())


def by_model(rows: Sequence[TrialRow]) -> Iterator[list[TrialRow]]:
    """Group rows by run and model, those of all seeds together.

    Args:
        rows (`Sequence[TrialRow]`): Rows of any number of runs.
    """
    for run in trials_by_run(rows):
        groups: dict[tuple[object, ...], list[TrialRow]] = {}
        for row in run:
            # Without the seed, so that trials of all seeds stand in one line.
            groups.setdefault((row.of, row.method, row.number), []).append(row)
        yield from groups.values()


def trials_by_run(rows: Sequence[TrialRow]) -> list[list[TrialRow]]:
    """Group rows by run; two runs may have one name.

    Args:
        rows (`Sequence[TrialRow]`): Rows of any number of runs, those of a run together.
    """
    return group_runs(
        rows,
        lambda row: (row.recipe, row.setting, row.task),
        lambda row: (row.of, row.method, row.number, row.seed, row.trial),
    )
