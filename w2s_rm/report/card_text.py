"""A model card as text: front matter for the hub, then what a reader needs to judge and load the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from w2s_rm.data.reading import is_hub_id
from w2s_rm.heads import HEADS
from w2s_rm.render.elements import Table
from w2s_rm.render.markdown import markdown
from w2s_rm.render.numbers import percent, percent_interval, ratio, ratio_interval
from w2s_rm.report.card_facts import CardFacts, Use, was_stopped
from w2s_rm.roles import CEILING, STUDENT, TRAINED, WEAK
from w2s_rm.runs.plan import display_name

_ROLES = {
    WEAK: "a weak supervisor, trained on the ground truth",
    STUDENT: "a strong student, trained on the labels of a weaker supervisor",
    CEILING: "a strong ceiling, trained on the ground truth to compare students with",
}
# Of transformers' `TrainingArguments`. Recipes refuse it; the config of a stage that is launched by hand may hold it.
_SECRETS = ("hub_token",)


def card_text(facts: CardFacts) -> str:
    """Compose a card.

    Args:
        facts ([`~w2s_rm.report.card_facts.CardFacts`]): What is known about the model.
    """
    front = yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True)
    sections = (_opening(facts), _results(facts), _scale(facts), _loading(facts), _limits(facts), _recipes(facts))
    return f"---\n{front}---\n\n" + "\n\n".join(line for part in sections for line in part) + "\n"


def front_matter(facts: CardFacts) -> dict[str, Any]:
    """Return what the hub reads: only what is true of the model, ids only where the hub knows them.

    Args:
        facts ([`~w2s_rm.report.card_facts.CardFacts`]): What is known about the model.
    """
    card, base = HEADS[facts.head].card, str(facts.config["model_name_or_path"])
    matter: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": card.pipeline_tag,
        "tags": ["trl", *card.tags, "w2s-rm", "weak-to-strong", *filter(None, [facts.config.get("of")])],
    }
    matter |= {"base_model": base} if is_hub_id(base) else {}
    matter |= {"datasets": [facts.dataset]} if facts.dataset else {}
    # One number here, of the first run by name; the table of the card has those of all runs.
    measured = next(((use, use.accuracy) for use in facts.uses if use.accuracy is not None), None)
    # The hub shows results by data set, and knows data by an id.
    if measured and facts.dataset:
        matter["model-index"] = [{"name": _name(facts), "results": [_metric(facts, *measured)]}]
    return matter


def _metric(facts: CardFacts, use: Use, accuracy: float) -> dict[str, Any]:
    name = f"accuracy on {use.rows[0]['n_scored']} held-out examples"
    return {
        "task": {"type": "text-classification"},
        "dataset": {"type": facts.dataset, "name": facts.task["name"]},
        "metrics": [{"type": "accuracy", "value": accuracy, "name": name}],
    }


def _name(facts: CardFacts) -> str:
    # A stage that is launched by hand need not have a name.
    return str(facts.config.get("run_name") or facts.folder)


def _opening(facts: CardFacts) -> Iterator[str]:
    config = facts.config
    role = _ROLES.get(str(config.get("of")), "a model")
    yield f"# {_name(facts)}"
    yield (
        f"{HEADS[facts.head].card.kind} It is {role}, of an experiment in weak-to-strong generalization "
        "([Burns et al. 2023](https://arxiv.org/abs/2312.09390)) with w2s-rm, on TRL."
    )
    lines = [
        ("base model", display_name(str(config["model_name_or_path"]))),
        ("task", str(facts.task.get("name", "a file of examples"))),
        ("trained on", f"{facts.counts['examples']} examples"),
        ("labels", facts.supervisor or "the ground truth"),
        ("right labels", f"{percent(facts.label_accuracy)} %" if facts.label_accuracy is not None else "not known"),
        # The default of a training, where a stage that is launched by hand leaves it to that.
        ("loss", _loss(config.get("loss", {"name": "cross_entropy"}))),
        ("seed", str(config.get("seed", "–"))),
    ]
    if was_stopped(config):
        lines.append(("saved", _stopping(facts)))
    if "trials" in facts.counts:
        lines.append(("chosen", _choice(facts.counts)))
    # Without a supervisor all labels are the ground truth, and right.
    if facts.supervisor is None:
        lines = [line for line in lines if line[0] != "right labels"]
    yield markdown([Table(("", ""), tuple(lines), 2)]).rstrip()


def _stopping(facts: CardFacts) -> str:
    """Say which of the models of a training this is, and by which rule."""
    most = "was right most often" if facts.supervisor is None else "agreed most with the supervisor's labels"
    counts = facts.counts
    return f"after step {counts['kept_step']} of {counts['steps']}, the first where it {most} on the validation split"


def _choice(counts: Mapping[str, Any]) -> str:
    trials = counts["trials"]
    values = ", ".join(f"{name} {value}" for name, value in trials[counts["chosen"]]["values"].items())
    split = f"the {counts['chosen_by']} of {counts['n_validation']} validation examples"
    return f"{values}; of {len(trials)} trials, by {split}"


def _loss(loss: Any) -> str:
    options = {"name": loss} if isinstance(loss, str) else dict(loss)
    rest = ", ".join(f"{name} {value}" for name, value in options.items() if name != "name")
    # Of a file its name alone: cards may go to the hub, and paths are private.
    name = Path(str(options["name"])).stem
    return f"{name} ({rest})" if rest else name


def _results(facts: CardFacts) -> Iterator[str]:
    yield "## Results"
    lines = [_line(use, row) for use in facts.uses for row in use.rows]
    if not lines:
        yield "No report of a run with this model is written yet: accuracy and PGR are not known."
        return
    header = ("recipe", "method", "weak %", "student %", "ceiling %", "PGR [95 %]", "agreement %", "test examples")
    yield markdown([Table(header, tuple(lines), 2)]).rstrip()
    yield (
        "PGR = (student − weak) / (ceiling − weak), the performance gap recovered. Means over seeds; agreement is with "
        "the supervisor on the test examples."
    )
    # Of weak models and ceilings rows have what was saved, of students what they were at the end.
    if was_stopped(facts.config) and facts.supervisor is not None:
        yield "The table has students at the end of their training; this model is the one named above."
    for use in facts.uses:
        if use.accuracy is not None:
            role = " ".join(filter(None, (use.role, use.method)))
            yield f"This model ({use.recipe['name']}, {role}, seed {use.seed}): accuracy {percent(use.accuracy)} %."
    if all(row["pgr"] is None for use in facts.uses for row in use.rows):
        yield (
            "There is no PGR: it needs weak supervisor, student and ceiling measured on ground truth, and a gap "
            "between weak and ceiling."
        )


def _line(use: Use, row: Mapping[str, Any]) -> tuple[str, ...]:
    accuracies = [percent_interval(row[f"{of}_accuracy"], row[f"{of}_low"], row[f"{of}_high"]) for of in TRAINED]
    pgr = "–"
    if row["pgr"] is not None:
        pgr = f"{ratio(row['pgr'])} {ratio_interval(row['pgr_low'], row['pgr_high'])}"
        pgr += "" if row["reliable"] else " (not reliable)"
    recipe = str(use.recipe["name"])
    return (recipe, str(row["method"]), *accuracies, pgr, percent(row["agreement"]), str(row["n_scored"]))


def _scale(facts: CardFacts) -> Iterator[str]:
    yield f"## Scale of its {HEADS[facts.head].card.scores}"
    counts = facts.counts
    if "score_mean" not in counts:
        yield "Not measured."
        return
    yield (
        f"Mean {counts['score_mean']:.4g}, standard deviation {counts['score_std']:.4g}, over the candidates of "
        f"{counts['scored_examples']} training prompts. Only differences under one prompt were trained: the zero means "
        "nothing. For a policy trainer with a fixed KL coefficient, subtract the mean and divide by the deviation."
    )


def _loading(facts: CardFacts) -> Iterator[str]:
    # Not the whole path: a card goes to the hub, where folders of this machine are nobody's business.
    head, model_path = HEADS[facts.head], f"stages/{facts.folder}/model"
    yield "## Use"
    yield f"`{model_path}` stands for this folder, or its id on the hub."
    # Of a class that transformers does not have.
    pooled = ["from w2s_rm.heads.pooled import register_pooled", "", "register_pooled()"]
    lines = [
        f"from transformers import {head.auto_name}, AutoTokenizer",
        *(pooled if facts.counts.get("pooled") else [""]),
        f'tokenizer = AutoTokenizer.from_pretrained("{model_path}")',
        f'model = {head.auto_name}.from_pretrained("{model_path}")',
        *head.card.reading,
    ]
    yield "\n".join(["```python", *lines, "```"])
    if head.card.with_trl:
        yield head.card.trl_words
        yield "\n".join(["```python", *head.card.with_trl, "```"]).replace("{place}", model_path)


def _limits(facts: CardFacts) -> Iterator[str]:
    yield "## Intended use and limits"
    items = [
        "For research on weak-to-strong generalization: how far a model gets beyond a supervisor that errs.",
        "PGR is measured in an analogy: a weak model stands for people who know less than the model they supervise. A "
        "high PGR is no proof of alignment.",
    ]
    if facts.config.get("of") == STUDENT:
        items.append(
            "It was trained on labels that a weaker supervisor made, and has learned some of its mistakes with them."
        )
    items += HEADS[facts.head].card.limits
    items.append("It was measured on data like that it was trained on, and not for safety or bias.")
    items.append("The licences of base model and data apply.")
    yield "\n".join(f"- {item}" for item in items)


def _recipes(facts: CardFacts) -> Iterator[str]:
    if facts.uses:
        # A model may have several roles in one run, whose recipe stands once.
        recipes = {str(use.recipe["name"]): use.recipe for use in facts.uses}
        yield "## Recipe" if len(recipes) == 1 else "## Recipes"
        yield from (_yaml(recipe) for recipe in recipes.values())
    else:
        yield "## Config of the stage"
        yield _yaml(facts.config)
    yield "## Versions"
    yield ", ".join(f"{name} {version}" for name, version in facts.packages.items())


def _yaml(content: Mapping[str, Any]) -> str:
    return f"```yaml\n{yaml.safe_dump(_public(content), sort_keys=False, allow_unicode=True)}```"


def _public(value: Any) -> Any:
    """Leave out what is nobody's business: tokens, and the folders in which things lie."""
    if isinstance(value, Mapping):
        return {name: _public(item) for name, item in value.items() if name not in _SECRETS}
    if isinstance(value, list | tuple):
        return [_public(item) for item in value]
    # A path that begins elsewhere is relative, and tells nothing of this machine.
    return display_name(value) if isinstance(value, str) and value.startswith(("/", "~")) else value
