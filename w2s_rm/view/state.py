"""What the page asks for again and again: how all runs stand, and all of those that are unfolded. Plain data."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2s_rm.errors import ArtifactError
from w2s_rm.render.numbers import counted, duration, rate, share
from w2s_rm.runs.folder import LOG, MANIFEST, METRICS
from w2s_rm.runs.plan import PLAN, PlannedStage, Run, read_planned
from w2s_rm.runs.progress import PROGRESS
from w2s_rm.runs.standing import DONE, FAILED, RUNNING, STATES, WAITING, Standing, expected_rest, stand
from w2s_rm.view.curves import Log, by_measure
from w2s_rm.view.graph import Entry, lay_out
from w2s_rm.view.places import Places, within
from w2s_rm.view.results import REPORT, read_rows, side_by_side, table

PAGE = "report.html"
CACHED = "cached"
"""A stage that was done before the run began."""
# What a training logs, and where a policy was judged on its way: a stage of policies has both.
_CURVES = (METRICS, "curve.jsonl")
# After a stage's manifest: by then all is written that comes behind it.
_SETTLED_S = 60.0
# Bytes bound what is read of a large log, lines what is shown of it.
_TAIL_BYTES, _TAIL_LINES = 200_000, 200


@dataclass(frozen=True)
class _Seen:
    """A stage of a run, as it stands."""

    planned: PlannedStage
    folder: Path | None
    standing: Standing
    cached: bool

    @property
    def name(self) -> str:
        return self.planned.folder.name

    @property
    def title(self) -> str:
        planned = self.planned
        parts = (planned.stage, planned.of, planned.method, planned.policy, planned.further)
        named = " ".join(part for part in parts if part)
        return planned.title or (named if planned.seed is None else f"{named} seed {planned.seed}")

    @property
    def label(self) -> str:
        return self.title.removesuffix(f" seed {self.planned.seed}")

    @property
    def state(self) -> str:
        return CACHED if self.cached else self.standing.state


@dataclass
class Viewer:
    """Looks at a folder of runs; what is read of files that do not change is kept.

    Args:
        places ([`~w2s_rm.view.places.Places`]): The folder.
    """

    places: Places
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, init=False)
    _plans: dict[tuple[Path, int], Run] = field(default_factory=dict, init=False)
    _done: dict[Path, tuple[int, Standing]] = field(default_factory=dict, init=False)
    _inputs: dict[Path, tuple[str, ...]] = field(default_factory=dict, init=False)
    _logs: dict[Path, Log] = field(default_factory=dict, init=False)

    def state(self, unfolded: Iterable[str]) -> dict[str, Any]:
        """Return how all runs stand.

        Args:
            unfolded (`Iterable[str]`): Names of the runs of which all is wanted.
        """
        folders, now, wanted = self.places.runs(), time.time(), set(unfolded)
        # Two pages may ask at once, and what is kept of growing files is for one.
        with self._one_at_a_time:
            runs = [self._run(name, folder, now, name in wanted) for name, folder in folders.items()]
        return {"folder": str(self.places.root), "runs": runs}

    def compared(self, first: str, second: str) -> dict[str, Any] | None:
        """Return the results of two runs side by side; `None` where one is not there.

        Args:
            first (`str`): A run's name.
            second (`str`): Another one's.
        """
        folders = self.places.runs()
        if first not in folders or second not in folders:
            return None
        rows = [read_rows(within(self.places.root, name, REPORT)) for name in (first, second)]
        lines = side_by_side(*rows)
        return {
            "header": ["method", "figure", first, second],
            "lines": lines,
            "note": self._note(folders, first, second),
        }

    def _note(self, folders: Mapping[str, Path], first: str, second: str) -> str:
        try:
            one, other = (self._plan(folders[name]) for name in (first, second))
        except ArtifactError as error:
            return str(error)
        # A plan need not say on what data its models are tested.
        if not one.tested or not other.tested:
            return ""
        if one.tested[0].source == other.tested[0].source:
            return "Both were tested on examples of the same data."
        return "They were tested on different data: intervals say how sure each figure is, not their difference."

    def _run(self, name: str, folder: Path, now: float, unfolded: bool) -> dict[str, Any]:
        try:
            run = self._plan(folder)
        except ArtifactError as error:
            return {"name": name, "problem": str(error)}
        # A run writes its plan as it begins: what was finished before is cached.
        seen = self._seen(run, (folder / PLAN).stat().st_mtime, now)
        states = [stage.state for stage in seen]
        models = [run.strong_model] if run.weak_model is None else [run.weak_model, run.strong_model]
        summary = {
            "name": name,
            "about": f"{run.setting}, {run.task}: {' → '.join(models)}",
            "methods": list(run.methods),
            "counts": {state: states.count(state) for state in (*STATES, CACHED)},
            "status": _status(seen, states, now),
            "report": within(self.places.root, name, PAGE) is not None,
        }
        return {**summary, "all": self._all(name, seen, now)} if unfolded else summary

    def _plan(self, folder: Path) -> Run:
        # A run that begins again may write another plan.
        key = (folder, (folder / PLAN).stat().st_mtime_ns)
        if key not in self._plans:
            try:
                self._plans[key] = read_planned(folder)
            except (TypeError, KeyError, AttributeError) as error:
                # A run may come from anywhere; a checksum of its own says nothing of what it holds.
                raise ArtifactError(f"{folder / PLAN}: is no plan ({error})") from error
        return self._plans[key]

    def _seen(self, run: Run, begun: float, now: float) -> list[_Seen]:
        """Each stage once, whatever its roles."""
        # Reversed, for a dictionary keeps the last value of a key: a stage is called after the first role it has.
        planned = {stage.folder.name: stage for stage in reversed(run.stages)}
        seen = []
        for stage in reversed(planned.values()):
            folder = self.places.stage(stage.folder.name)
            standing = Standing(WAITING) if folder is None else self._stand(folder, now)
            cached = standing.finished is not None and standing.finished < begun
            seen.append(_Seen(stage, folder, standing, cached))
        return seen

    def _stand(self, folder: Path, now: float) -> Standing:
        try:
            written = (folder / MANIFEST).stat().st_mtime_ns
        except OSError:
            written = 0
        kept = self._done.get(folder)
        # Most stages are done, and as long as their manifest is the same, nothing of them has changed.
        if kept is not None and kept[0] == written:
            return kept[1]
        standing = stand(folder, now)
        # A link would lead to a file elsewhere.
        if within(folder, PROGRESS) is None:
            standing = Standing(standing.state, None, standing.finished)
        # How long a stage took is written after its manifest; of one by another version it never is.
        if standing.finished is not None and (standing.progress is not None or now - standing.finished > _SETTLED_S):
            self._done[folder] = (written, standing)
        return standing

    def _all(self, name: str, seen: list[_Seen], now: float) -> dict[str, Any]:
        # Manifests name what was read by its hash alone.
        hashes = {stage.name.rpartition("-")[2]: stage.name for stage in seen}
        boxes = lay_out([Entry(stage.name, stage.label, self._needs(stage, hashes)) for stage in seen])
        return {
            "boxes": [
                {"label": box.label, "column": box.column, "row": box.row, "stages": box.stages, "needs": box.needs}
                for box in boxes
            ],
            "stages": {stage.name: {"title": stage.title, "state": stage.state} for stage in seen},
            "running": [_progress_line(stage, now) for stage in seen if stage.state == RUNNING],
            "failed": [self._failure(stage) for stage in seen if stage.state == FAILED],
            "table": [_stage_line(stage) for stage in seen],
            "curves": by_measure((stage.title, stage.label, self._curves(stage)) for stage in seen),
            "results": table(read_rows(within(self.places.root, name, REPORT))),
        }

    def _needs(self, stage: _Seen, hashes: Mapping[str, str]) -> tuple[str, ...]:
        """What a stage reads: as planned, or, of plans that do not say so, as its manifest records it."""
        if stage.planned.needs or stage.folder is None or stage.standing.state != DONE:
            return stage.planned.needs
        if stage.folder not in self._inputs:
            self._inputs[stage.folder] = _recorded_inputs(stage.folder)
        return tuple(hashes[stage_hash] for stage_hash in self._inputs[stage.folder] if stage_hash in hashes)

    def _curves(self, stage: _Seen) -> dict[str, Any]:
        curves: dict[str, Any] = {}
        for name in _CURVES:
            path = None if stage.folder is None else within(stage.folder, name)
            if path is not None:
                # What was judged goes before what the trainer logs under the same name.
                curves |= self._logs.setdefault(path, Log(path)).curves()
        return curves

    @staticmethod
    def _failure(stage: _Seen) -> dict[str, Any]:
        # Only stages that Ray ran have one; of others all is printed in the terminal.
        log = None if stage.folder is None else within(stage.folder, LOG)
        problem = stage.standing.progress.problem if stage.standing.progress is not None else None
        return {
            "name": stage.name,
            "title": stage.title,
            "problem": problem or "",
            "log": "" if log is None else _tail(log),
        }


def _status(seen: list[_Seen], states: list[str], now: float) -> str:
    done, cached = states.count(DONE) + states.count(CACHED), states.count(CACHED)
    words = [f"{done} of {counted(len(seen), 'stage')} done" + (f" ({cached} cached)" if cached else "")]
    words += [f"{states.count(state)} {state}" for state in STATES if state in states and state not in (DONE, WAITING)]
    standings = {stage.planned.folder: stage.standing for stage in seen}
    # By role too: a weak model is trained sooner than a student.
    kinds = {stage.planned.folder: (stage.planned.stage, stage.planned.of) for stage in seen}
    rest = expected_rest(standings, kinds, now)
    # While nothing runs, nobody knows when it will go on.
    left = f"; about {duration(rest.seconds)} left" if rest.seconds and RUNNING in states else ""
    more = f" and {counted(rest.unknown, 'stage')} of unknown length" if left and rest.unknown else ""
    return ", ".join(words) + left + more


def _progress_line(stage: _Seen, now: float) -> dict[str, Any]:
    progress = stage.standing.progress
    if progress is None or progress.step is None or not progress.total:
        return {"title": stage.title, "share": None, "words": "runs"}
    left = progress.left(now)
    words = [
        f"{progress.step} of {progress.total} {progress.unit}",
        None if progress.speed is None else f"{rate(progress.speed)}/s",
        None if left is None else f"{duration(left)} left, ends {time.strftime('%H:%M', time.localtime(now + left))}",
        None if progress.accuracy is None else f"accuracy {share(progress.accuracy)}",
        None if progress.loss is None else f"loss {progress.loss:.3f}",
    ]
    done = min(1.0, progress.step / progress.total)
    return {"title": stage.title, "share": done, "words": ", ".join(word for word in words if word)}


def _stage_line(stage: _Seen) -> list[str]:
    progress, finished = stage.standing.progress, stage.standing.finished
    took = "–" if progress is None or progress.seconds is None else duration(progress.seconds)
    when = "–" if finished is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(finished))
    return [stage.title, stage.state, took, when, stage.name]


def _recorded_inputs(folder: Path) -> tuple[str, ...]:
    """Hashes of the stages that a finished stage has read."""
    path = within(folder, MANIFEST)
    try:
        inputs = json.loads("{}" if path is None else path.read_text(encoding="utf-8")).get("inputs", {})
    except (OSError, ValueError, AttributeError):
        return ()
    return tuple(str(value).partition("/")[0] for value in inputs.values()) if isinstance(inputs, dict) else ()


def _tail(path: Path) -> str:
    """The last lines of a log."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
        return "\n".join(file.read().decode("utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
