"""From a finished run to a preference dataset: its examples, relabelled by its labels or by a reward model."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm.data.examples import read_examples, write_parquet
from w2s_rm.data.label_store import join_labels, read_labels, to_table
from w2s_rm.errors import ArtifactError, ConfigError, DataError, nearest
from w2s_rm.files import parse_yaml, replacing, write_text
from w2s_rm.integrations.preferences import Preferences, to_preferences
from w2s_rm.roles import LABELS, STUDENT, WEAK
from w2s_rm.runs.places import beside
from w2s_rm.runs.plan import PlannedStage, Run, check_intact, read_run
from w2s_rm.types import Example

SPLITS = ("relabel", "test", "validation", "unused")

# Stands for a probability of 0, which has no finite logarithm.
_LEAST = 1e-300


@dataclass(frozen=True)
class Export:
    """What to export.

    Args:
        run (`Path`): Folder of a finished run, `runs/<recipe>`.
        split (`str`, *optional*, defaults to `"relabel"`): Which examples.
        of (`str`, *optional*): Relabel with a reward model of the run: `weak`, `student` or `ceiling`.
        model (`str`, *optional*): Relabel with the reward model in this folder.
        labels (`Path`, *optional*): Relabel from this file of labels. Without any of the three: the run's weak labels.
        method (`str`, *optional*): Whose student, where the run has several methods.
        seed (`int`, *optional*): Of weak labels and models; by default the run's first one.
        min_confidence (`float`, *optional*, defaults to `0.5`): As in
            [`~w2s_rm.integrations.preferences.to_preferences`].
        deduplicate (`bool`, *optional*, defaults to `False`): As there.
        form (`str`, *optional*): As there.
    """

    run: Path
    split: str = "relabel"
    of: str | None = None
    model: str | None = None
    labels: Path | None = None
    method: str | None = None
    seed: int | None = None
    min_confidence: float = 0.5
    deduplicate: bool = False
    form: str | None = None

    def preferences(self) -> Preferences:
        """Read the examples, score them and make pairs.

        Raises:
            ArtifactError: The run is not finished, or its files are not as they were made.
            ConfigError: An option does not fit the run; a reward model does not load.
            DataError: Labels do not fit the examples, or no pair is left.
        """
        flags = [f"--{name}" for name in ("of", "model", "labels") if getattr(self, name) is not None]
        if len(flags) > 1:
            raise ConfigError(f"{' and '.join(flags)} each say what to relabel with; give one of them")
        run = read_run(self.run)
        check_intact(run)
        seed = self._seed(run)
        examples = _examples(run, self.split, seed)
        options: dict[str, Any] = {"min_confidence": self.min_confidence, "deduplicate": self.deduplicate}
        options |= {"form": self.form, "guessed_prompts": _guessed_prompts(run, seed)}
        made = to_preferences(examples, self._scores(run, seed, examples), **options)
        if not made.rows:
            counts = ", ".join(f"{value} {name}" for name, value in made.counts.items())
            turns = "give --format text, or " if made.counts.get("without_turns") else ""
            remedy = f"{turns}lower --min-confidence"
            raise DataError(f"{self.run}: no pair is left of split {self.split} ({counts}); {remedy}")
        return made

    def _seed(self, run: Run) -> int:
        if self.seed is not None and self.seed not in run.seeds:
            raise ConfigError(f"--seed {self.seed}: the run has the seeds {', '.join(map(str, run.seeds))}")
        return run.seeds[0] if self.seed is None else self.seed

    def _scores(self, run: Run, seed: int, examples: Sequence[Example]) -> Sequence[Sequence[float]]:
        if self.method is not None and self.of != STUDENT:
            raise ConfigError("--method names a student; give --of student with it")
        if self.model is not None:
            return _model_scores(self.model, {}, examples)
        if self.of == WEAK and run.supervisor == "labels":
            raise ConfigError(
                f"--of weak: the supervisor of run {run.recipe!r} is a file of labels and no model; leave --of out, or "
                "give the file with --labels"
            )
        if self.of is not None:
            config = _evaluation(run, self.of, self._method(run) if self.of == STUDENT else None, seed)
            return _model_scores(str(config["model_name_or_path"]), config, examples)
        return _label_scores(self.labels or _weak_labels(run, self.split, seed), examples)

    def _method(self, run: Run) -> str:
        if self.method is None and len(run.methods) == 1:
            return run.methods[0]
        if self.method not in run.methods:
            known = f"known: {', '.join(run.methods)}"
            wrong = "--of student needs --method" if self.method is None else f"--method {self.method}: no such method"
            raise ConfigError(f"{wrong}; {known if self.method is None else nearest(self.method, run.methods)}")
        return self.method


def _stage(run: Run, stage: str | None, of: str | None, method: str | None, seed: int | None) -> PlannedStage:
    planned = run.find(stage, of, method, seed)
    if planned is None:
        words = " ".join(filter(None, (stage, of, method)))
        raise ArtifactError(
            f"run {run.recipe!r} has no stage {words} for seed {seed}; its data may have no ground truth"
        )
    return planned


def _examples(run: Run, split: str, seed: int) -> list[Example]:
    # Of this seed, which may have drawn splits of its own.
    examples = read_examples(_stage(run, "prepare", None, None, seed).folder / "examples" / f"{split}.parquet")
    if not examples:
        raise DataError(f"run {run.recipe!r} has no examples in split {split}; take another --split")
    return examples


def _guessed_prompts(run: Run, seed: int) -> bool:
    """Whether prompts are what texts begin with in common; transcripts say for themselves where they end."""
    path = _stage(run, "prepare", None, None, seed).folder / "config.yaml"
    config = parse_yaml(path.read_text(encoding="utf-8")) if path.is_file() else {}
    task = config.get("task", {})
    # `prompt_column: null` says that the data has none.
    return task.get("name") == "preference" and not task.get("prompt_column", "prompt")


def _weak_labels(run: Run, split: str, seed: int) -> Path:
    if split != "relabel":
        remedy = "give its file with --labels" if run.supervisor == "labels" else "add --of weak"
        raise ConfigError(f"--split {split}: the run labelled the split relabel only; {remedy} to score these too")
    return _stage(run, None, LABELS, None, seed).folder / "weak_labels.parquet"


def _label_scores(path: Path, examples: Sequence[Example]) -> list[tuple[float, ...]]:
    """Logarithms: their differences are those of the scores, if the labels came from any."""
    labels = join_labels(examples, read_labels(path), source=str(path))
    return [tuple(math.log(max(value, _LEAST)) for value in row) for row in labels]


def _evaluation(run: Run, of: str, method: str | None, seed: int) -> dict[str, Any]:
    """Read how the run evaluated a model: the path, also where `runs/` was moved, and what scores depend on."""
    config_path = _stage(run, "evaluate", of, method, seed).folder / "config.yaml"
    config: dict[str, Any] = parse_yaml(config_path.read_text(encoding="utf-8"))
    config["model_name_or_path"] = str(beside(config_path.parent, Path(str(config["model_name_or_path"]))))
    return config


def _model_scores(path: str, config: dict[str, Any], examples: Sequence[Example]) -> list[tuple[float, ...]]:
    from w2s_rm.integrations.reward_model import load_reward_model
    from w2s_rm.integrations.scorer import Scorer

    # As the run evaluated it: cut elsewhere, or in another precision, texts would score otherwise.
    scorer = Scorer(load_reward_model(path), max_length=config.get("max_length"), bf16=config.get("bf16"))
    return scorer.score_examples(examples)


def refuse_existing(path: Path) -> None:
    """Never overwrite what someone may still need.

    Args:
        path (`Path`): Where to write.

    Raises:
        ConfigError: Something is there.
    """
    if path.exists():
        raise ConfigError(f"{path} exists; remove it, or give another --output")


def write_preferences(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows, completely or not at all: JSONL or Parquet by the name's ending, otherwise a saved dataset.

    Args:
        path (`Path`): File ending in `.jsonl` or `.parquet`, or folder for `datasets.load_from_disk`.
        rows (`Sequence[dict]`): What to write.

    Raises:
        ConfigError: Something is there already.
    """
    refuse_existing(path)
    if path.suffix == ".jsonl":
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        write_parquet(path, to_table(rows))
    else:
        _write_dataset(path, rows)


def _write_dataset(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import datasets

    with replacing(path) as unfinished:
        # A folder of several files: only as a whole that is renamed is it there completely or not at all.
        datasets.Dataset(to_table(rows)).save_to_disk(unfinished)
