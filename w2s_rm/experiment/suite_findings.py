"""The part `findings` of a suite: what its runs are to show, checked before any of them is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from w2s_rm import catalog, options
from w2s_rm.errors import W2SError, nearest
from w2s_rm.experiment.grid import FINDINGS
from w2s_rm.experiment.marked_yaml import MarkedYaml
from w2s_rm.experiment.open_route import choose_head
from w2s_rm.experiment.recipe import Recipe
from w2s_rm.heads import HEADS
from w2s_rm.report.findings import Asked, Question, doubts
from w2s_rm.report.hypotheses import Need, Needing, needed_runs
from w2s_rm.training.pretraining import BY_SEED

_KEYS = ("finding", "hypothesis", "note")


def read_findings(suite: MarkedYaml, given: Any, recipes: Mapping[str, Recipe]) -> tuple[Asked | None, list[str]]:
    """Read what a suite states.

    Args:
        suite ([`~w2s_rm.experiment.marked_yaml.MarkedYaml`]): The suite, for the places of mistakes.
        given (`Any`): What stands below `findings`; `None` where nothing does.
        recipes (`Mapping[str, Recipe]`): Its recipes by the names that they have in it.

    Returns:
        What is asked, `None` without findings, and what is wrong.
    """
    if given is None:
        return None, []
    if not isinstance(given, list) or not given:
        text = f"{given!r} is no list of {{finding: a sentence, hypothesis: …}}"
        return None, [f"{suite.place((FINDINGS,))}: {FINDINGS}: {text}"]
    questions, problems = [], []
    for number, entry in enumerate(given):
        place = f"{suite.place((FINDINGS, str(number)))}: {FINDINGS}.{number}"
        wrong = [*_entry_problems(entry)]
        if not wrong:
            question = Question(entry["finding"], options.named(entry["hypothesis"]), entry.get("note"))
            wrong = _hypothesis_problems(question, recipes)
            questions.append(question)
        problems += [f"{place}{text}" for text in wrong]
    if problems:
        return None, problems
    return Asked({name: recipe.name for name, recipe in recipes.items()}, tuple(questions)), []


def finding_lines(asked: Asked, recipes: Sequence[Recipe]) -> list[str]:
    """Say what will take from the verdicts of a suite's findings, before anything is run.

    Args:
        asked ([`~w2s_rm.report.findings.Asked`]): What it asks.
        recipes (`Sequence[Recipe]`): Its recipes.
    """
    names = {asked.runs[run] for question in asked.questions for run in needed_runs(question.built())}
    about = [recipe for recipe in recipes if recipe.name in names]
    return doubts(min(len(recipe.seeds) for recipe in about), any(map(_shares_models, about)))


def _shares_models(recipe: Recipe) -> bool:
    pretrained = [spec.pretrain for spec in recipe.models().values() if spec.pretrain is not None]
    return bool(pretrained) and all(pretrain.get("seed") != BY_SEED for pretrain in pretrained)


def _entry_problems(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return [f": {entry!r} is no mapping with finding and hypothesis"]
    wrong = [f".{key}: unknown key; {nearest(str(key), _KEYS)}" for key in entry if key not in _KEYS]
    if not isinstance(entry.get("finding"), str) or not entry["finding"].strip():
        wrong.append(f".finding: {entry.get('finding')!r} is no sentence; say what is to be shown")
    if not isinstance(entry.get("note", ""), str):
        wrong.append(f".note: {entry['note']!r} is no text")
    if not isinstance(entry.get("hypothesis"), str | dict):
        wrong.append(f".hypothesis: {entry.get('hypothesis')!r} is no hypothesis; write its name, or name and options")
    return wrong


def _hypothesis_problems(question: Question, recipes: Mapping[str, Recipe]) -> list[str]:
    wrong = [f".hypothesis.{mistake}" for mistake in options.mistakes("hypotheses", question.hypothesis)]
    if wrong:
        return wrong
    seeds, hypothesis = {}, question.built()
    for run, method in hypothesis.students():
        if run not in recipes:
            wrong.append(f".hypothesis: no run {run!r} in this suite; {nearest(run, list(recipes))}")
        elif method not in recipes[run].methods:
            known = list(recipes[run].methods)
            wrong.append(f".hypothesis: run {run!r} has no method {method!r}; {nearest(method, known)}")
        else:
            seeds[run] = recipes[run].seeds
    # Differences are taken seed by seed, also between runs.
    if len(set(seeds.values())) > 1:
        wrong.append(f".hypothesis: its runs have different seeds ({seeds}); set `seeds` below `with`")
    # What it needs beside these is asked of runs and methods that are there.
    if not wrong and isinstance(hypothesis, Needing):
        lacking = ((need.run, _LACKS[need.what](recipes[need.run], need)) for need in hypothesis.needs())
        wrong += dict.fromkeys(f".hypothesis: run {run!r} {text}" for run, text in lacking if text is not None)
    return wrong


def _without_evaluations(recipe: Recipe, need: Need) -> str | None:
    method = recipe.methods[need.method]
    train = {**recipe.train, **recipe.models()[method.model].train, **method.train}
    if train.get("evaluations") is None:
        return f"does not evaluate the students of {need.method!r} on their way; set train.evaluations"
    if not recipe.sizes.get("n_validation"):
        return "has no validation split, which chooses among evaluations; set task.n_validation"
    return None


def _without_saliency(recipe: Recipe, need: Need) -> str | None:
    return "does not look for its supervisors' mistakes; set saliency" if recipe.saliency is None else None


def _without_untrained(recipe: Recipe, need: Need) -> str | None:
    try:
        head = choose_head(recipe, recipe.task())
    except W2SError:
        # The plan says so, with what would fit.
        return None
    if HEADS[head].writes:
        return None
    writing = " or ".join(name for name, known in HEADS.items() if known.writes)
    return f"has head {head}, with which nothing is scored before a training; set head: {writing}"


def _without_opposed(recipe: Recipe, need: Need) -> str | None:
    method = recipe.methods[need.method]
    names = set(_names((method.supervisor, *method.labels)))
    own = {name for name in names if name.endswith(".py") and catalog.knows("supervisors", name)}
    # By a file of labels, or one with a supervisor of one's own, labels may be drawn, too.
    if names & {"opposed", "file"} or own or recipe.weak.labels:
        return None
    return f"has no supervisor opposed in method {need.method!r}, whose aim would be against the truth; give it one"


def _without_task(recipe: Recipe, need: Need) -> str | None:
    known = [further.label for further in recipe.also_evaluate]
    if need.task in known:
        return None
    return f"has no further task {need.task!r} (also_evaluate); {nearest(str(need.task), known)}"


def _names(value: Any) -> Iterator[str]:
    """Names of a component and of all inside it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            # A text under another key is an option, and no name.
            if key in ("name", "supervisor") or not isinstance(inner, str):
                yield from _names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)


_LACKS: dict[str, Callable[[Recipe, Need], str | None]] = {
    "evaluations": _without_evaluations,
    "saliency": _without_saliency,
    "untrained": _without_untrained,
    "opposed": _without_opposed,
    "task": _without_task,
}
