"""The part `findings` of a suite: what its runs are to show, checked before any of them is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from w2s_rm import options
from w2s_rm.errors import nearest
from w2s_rm.experiment.marked_yaml import MarkedYaml
from w2s_rm.experiment.recipe import Recipe
from w2s_rm.report.findings import Asked, Question

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
        return None, [f"findings: {given!r} is no list of {{finding: a sentence, hypothesis: …}}"]
    questions, problems = [], []
    for number, entry in enumerate(given):
        place = f"{suite.place(('findings', str(number)))}: findings.{number}"
        wrong = [*_entry_problems(entry)]
        if not wrong:
            question = Question(entry["finding"], options.named(entry["hypothesis"]), entry.get("note"))
            wrong = _hypothesis_problems(question, recipes)
            questions.append(question)
        problems += [f"{place}{text}" for text in wrong]
    if problems:
        return None, problems
    return Asked({name: recipe.name for name, recipe in recipes.items()}, tuple(questions)), []


def _entry_problems(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return [f": {entry!r} is no mapping with finding and hypothesis"]
    wrong = [f".{key}: unknown key; {nearest(str(key), _KEYS)}" for key in entry if key not in _KEYS]
    if not isinstance(entry.get("finding"), str):
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
    seeds = {}
    for run, method in question.built().students():
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
    return wrong
