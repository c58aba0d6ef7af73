"""Judges that read what debaters argue: which stages there are, and what they read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from w2s_rm.stages import Examples

WORLD = {"ask": "{prompt}{candidate}", "show": "{candidate} {argument}"}
ENDPOINT = {"url": "http://localhost:8000/v1", "model": "big"}


def test_the_judge_reads_transcripts_and_the_student_does_not(bench: Any) -> None:
    assert bench.added("debate") == [
        "transcripts test seed 0",
        "transcripts weak seed 0",
        "own judge of a debate seed 0",
        "relabel judge of a debate test seed 0",
        "evaluate weak own seed 0",
        "transcripts relabel seed 0",
        "relabel own judge of a debate seed 0",
    ]
    plan = bench.own("debate", debater="medium", **WORLD)
    labels = bench.only(plan, kind="relabel", of="labels", method="own")
    judge, argued = labels.model_name_or_path.maker, labels.examples.maker
    assert (judge.kind, argued.kind, judge.examples.maker.kind) == ("train", "transcripts", "transcripts")
    assert argued.model_name_or_path.path.endswith("models/medium")
    assert argued.examples.path.endswith("relabel.parquet")
    assert judge.examples.maker.examples.path.endswith("weak.parquet")
    student = bench.only(plan, of="student", method="own", kind="train")
    assert student.examples.path.endswith("relabel.parquet") and student.labels.identity == labels.weak_labels.identity


def test_a_debater_is_loaded_as_the_recipe_says(bench: Any) -> None:
    """Its revision and type, and whether its code is trusted; not with the adapter of its training."""
    options = {"model_revision": "v2", "dtype": "bfloat16", "use_peft": True}
    given = [f"models.medium.{name}={json.dumps(value)}" for name, value in options.items()]
    plan = bench.own("debate", *given, "models.medium.train={trust_remote_code: true}", debater="medium", **WORLD)
    stages = list(bench.some(plan, kind="transcripts"))
    for stage in stages:
        config = stage.config()
        assert (config["model_revision"], config["dtype"], config["trust_remote_code"]) == ("v2", "bfloat16", True)
        assert "use_peft" not in config and "options" not in config
    plain = bench.some(bench.own("debate", debater="medium", **WORLD), kind="transcripts")
    assert not {stage.hash for stage in stages} & {stage.hash for stage in plain}


@pytest.mark.parametrize(
    "overrides",
    [
        ["train.on=features", "train.layer=0", "train.l2=0.1"],
        ["train.on=features", "train.layer=0", "train.l2=0.1", "task.draw=by_seed", "seeds=[0, 1]"],
        ["train.on=features", "train.layer=[0, 1]", "train.l2=[0.1, 1]", "task.n_validation=50"],
        ["weak.train={evaluations: 2, keep: weak_validation}", "task.n_validation=50"],
        ["tune={weight_decay: [0.0, 0.1]}", "task.n_validation=500"],
    ],
    ids=["features", "draws", "layers chosen", "stopped", "tuned"],
)
def test_whatever_a_judge_reads_is_argued(bench: Any, overrides: list[str]) -> None:
    plain = {stage.folder for stage in bench.plan(*overrides, "methods.own=null").stages}
    added = [one for one in bench.own("debate", *overrides).stages if one.folder not in plain]
    judging = [one for one in added if "judge" in (one.note or "") or one.kind == "features"]
    assert {"relabel"} <= {one.kind for one in judging}
    for stage in judging:
        read = [one for one in stage.references.values() if isinstance(one, Examples)]
        assert read and {one.maker.kind for one in read} == {"transcripts"}, (stage.title, read)
    # And where features are read, those of the very same examples.
    for stage in judging:
        if "features" in stage.references:
            assert stage.references["features"].maker.examples.identity == stage.examples.identity


def test_several_transcripts_have_a_judge_each(bench: Any) -> None:
    plan = bench.own("debate", transcripts=3)
    combined = bench.only(plan, kind="combine", of="labels")
    judges = [one.maker.model_name_or_path.maker for one in combined.members]
    assert len({one.hash for one in judges}) == len({one.examples.identity for one in judges}) == 3
    # The first of them is the judge of a debate with one transcript.
    alone = bench.only(bench.own("debate"), kind="relabel", of="labels", method="own")
    assert combined.members[0].identity == alone.weak_labels.identity


def test_what_is_asked_for_counts_and_patience_does_not(bench: Any) -> None:
    everything = {"transcripts", "train", "relabel", "evaluate"}
    for change in ({"turns": 2}, {"temperature": 0}, {"max_new_tokens": 9}):
        changed = {name.partition(" ")[0] for name in bench.changed("debate", {"form": "debate"}, change)}
        assert changed == everything, change
    plans = [bench.own("debate", form=form) for form in ("debate", "consultancy")]
    debate, consultancy = ({one.hash for one in bench.some(plan, kind="transcripts")} for plan in plans)
    assert len(debate) == len(consultancy) == 3 and not debate & consultancy
    patient = {"endpoint": {**ENDPOINT, "timeout": 5, "max_requests": 9}}
    assert bench.changed("debate", {"endpoint": ENDPOINT}, patient) == set()
    other = {"endpoint": {**ENDPOINT, "model": "other"}}
    assert bench.changed("debate", {"endpoint": ENDPOINT}, other)


def test_an_endpoint_needs_no_model(bench: Any) -> None:
    plan = bench.own("debate", endpoint=ENDPOINT)
    argued = next(iter(bench.some(plan, kind="transcripts")))
    assert not argued.loads_model and "model_name_or_path" not in argued.config()
    assert argued.config()["endpoint"] == ENDPOINT


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"form": "debates"}, "form: is 'debates'; did you mean 'debate'?"),
        ({"turns": 0}, "turns: is 0; use 1 or more"),
        ({"turns": 2, **WORLD}, "ask has no {said}"),
        ({"transcripts": 2, "temperature": 0}, "with temperature 0 they are all the same"),
        ({"temperature": -1}, "temperature: is -1"),
        ({"ask": "why?"}, "without {candidate}"),
        ({"show": "so"}, "without {argument}"),
        ({"how": "votes"}, "how: is 'votes'; did you mean 'vote'?"),
        ({"debater": "nobody"}, "no model 'nobody' in this recipe"),
        ({"debater": "medium", "endpoint": ENDPOINT}, "give one of the two"),
        ({"endpoint": {"url": "localhost", "model": "big"}}, "url: is 'localhost'"),
        ({"endpoint": {**ENDPOINT, "url": "http://[::1"}}, "url: is 'http://[::1'; give an address"),
        (
            {"endpoint": {**ENDPOINT, "key_variable": "not a name"}},
            "key_variable: is no name of an environment variable",
        ),
        ({"endpoint": {**ENDPOINT, "timeout": 1e10}}, "timeout: is 10000000000.0; use seconds above 0, up to 86,400"),
        ({"endpoint": {"model": "big", "tiemout": 3}}, "did you mean 'timeout'?"),
    ],
)
def test_options_that_cannot_be(bench: Any, given: dict[str, Any], text: str) -> None:
    assert text in bench.refused("debate", **given)


def test_steps_are_refused_before_anything_runs(bench: Any) -> None:
    steps = 'task={"name": "world_chains", "n_entities": 12, "n_steps": 3, "n_train": 120, "n_test": 24}'
    said = bench.refused("debate", steps)
    assert "debates are about answers, and examples of setting process are steps of solutions; take another" in said
