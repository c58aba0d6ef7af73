"""Each hypothesis on runs whose answers are known: its number by hand, also where its statement is false."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from w2s_rm import catalog, options
from w2s_rm.data.curves import CURVE_FILE, CurvePart, write_curve
from w2s_rm.errors import ArtifactError, ConfigError, DataError
from w2s_rm.metrics.intervals import difference_interval
from w2s_rm.metrics.quantities import mean_of
from w2s_rm.report.hypotheses import Evidence, Results, needed_runs
from w2s_rm.report.hypotheses.pgr_falls_with_saliency import slope
from w2s_rm.types import Predictions

MakeRun = Callable[..., Path]
Answers = Callable[..., list[float]]
NEEDED: dict[str, dict[str, Any]] = {
    "students_beat_supervisors": {"runs": ["a", "b"]},
    "gain_grows_with_gap": {"large": "a", "small": "b", "method": "logconf"},
    "pgr_is_below": {"run": "a", "other": "b"},
    "method_lifts_pgr": {"run": "a", "method": "logconf"},
    "accuracy_peaks_early": {"runs": ["a", "b"]},
    "imitation_falls_with_size": {"by_size": {"small": ["b", "naive"], "large": ["a", "naive"]}},
    "untrained_beats_student": {"run": "a"},
    "deception_exceeds_chance": {"run": "a", "method": "logconf"},
    "is_more_accurate": {"student": ["a", "logconf"], "other": ["b", "naive"]},
    "is_above": {"student": ["a", "logconf"], "share": 0.5},
    "loses_less": {"student": [["a", "logconf"], ["b", "logconf"]], "other": [["a", "naive"], ["b", "naive"]]},
    "errors_matter": {"run": "a", "independent": "naive", "patterned": ["logconf"]},
    "pgr_falls_with_size": {"runs": ["a", "b", "c"]},
    "mistakes_are_salient": {"runs": ["a", "b"]},
    "pgr_falls_with_saliency": {"runs": ["a", "b", "c"]},
}


def said_of(results: Mapping[str, Results], name: str, **given: Any) -> Evidence:
    hypothesis = options.build("hypotheses", {"name": name, **{**NEEDED[name], **given}})
    return hypothesis.test({run: results[run] for run in needed_runs(hypothesis)})  # type: ignore[no-any-return]


@pytest.fixture
def two(make_run: MakeRun, answers: Answers) -> dict[str, Results]:
    """Two runs of two seeds on the same 100 examples, of which models know the first ones."""
    a = make_run(
        "run_a",
        weak=[answers(60), answers(62)],
        students={"naive": [answers(70), answers(74)], "logconf": [answers(80), answers(82)]},
        ceiling=[answers(90)] * 2,
        zero_shot=answers(65),
    )
    b = make_run(
        "run_b",
        weak=[answers(70), answers(72)],
        students={"naive": [answers(85)] * 2, "logconf": [answers(84), answers(82)]},
        ceiling=[answers(90)] * 2,
    )
    return {"a": Results(a), "b": Results(b)}


@pytest.mark.parametrize("name", catalog.names("hypotheses"))
def test_it_says_what_it_is_and_whom_it_is_about(name: str) -> None:
    kind = catalog.lookup("hypotheses", name)
    made = options.build("hypotheses", {"name": name, **NEEDED[name]})
    assert kind(**vars(made)) == made
    assert all(f"{option.name} (" in kind.__doc__ for option in dataclasses.fields(kind))
    assert kind.effect and isinstance(kind.is_ratio, bool)
    assert set(needed_runs(made)) <= {"a", "b", "c"}
    assert {method for _, method in made.students()} <= {"naive", "logconf"}


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        *(
            (name, {"runs": runs}, f"runs: {text}")
            for name in ("students_beat_supervisors", "accuracy_peaks_early", "mistakes_are_salient")
            for runs, text in (([], "is empty; name runs"), (["a", "b", "a"], "names 'a' twice; name each once"))
        ),
        *(
            (name, {"runs": runs}, f"runs: {text}")
            for name in ("pgr_falls_with_size", "pgr_falls_with_saliency")
            for runs, text in (
                ([], "is empty; name runs"),
                (["a", "b"], "names 2 runs; name 3 or more"),
                (["a", "b", "b"], "names 'b' twice"),
            )
        ),
        ("pgr_is_below", {"run": "b"}, "run: is 'b', as other is: it would be compared with itself"),
        ("gain_grows_with_gap", {"small": "a"}, "large: is 'a', as small is"),
        ("gain_grows_with_gap", {"method": "naive"}, "method: is 'naive', as beside is"),
        ("method_lifts_pgr", {"method": "naive"}, "method: is 'naive', as beside is"),
        ("deception_exceeds_chance", {"beside": "logconf"}, "method: is 'logconf', as beside is"),
        ("errors_matter", {"patterned": []}, "patterned: is empty; name methods whose errors have a pattern"),
        ("errors_matter", {"patterned": ["x", "naive"]}, "patterned: names 'naive', as independent does"),
        ("errors_matter", {"patterned": ["x", "x"]}, "patterned: names 'x' twice"),
        (
            "imitation_falls_with_size",
            {"by_size": {"a": ["a", "naive"], "b": ["a", "naive"]}},
            "by_size: names ('a', 'naive') twice",
        ),
        (
            "imitation_falls_with_size",
            {"by_size": {32: ["a", "naive"], "32": ["b", "naive"]}},
            "two sizes are the same word",
        ),
    ],
)
def test_what_says_nothing_is_refused(name: str, given: dict[str, Any], message: str) -> None:
    (found,) = options.mistakes("hypotheses", {"name": name, **NEEDED[name], **given})
    assert message in str(found)


def test_sizes_that_are_numbers_are_words(two: Mapping[str, Results]) -> None:
    # A panel takes numbers for shares of the training, in which these lie nowhere.
    found = said_of(two, "imitation_falls_with_size", by_size={32: ["b", "naive"], 64: ["a", "naive"]})
    assert [point.x for point in found.panel.series[0].points] == ["32", "64"]


def test_students_beat_supervisors(two: Mapping[str, Results], answers: Answers) -> None:
    found = said_of(two, "students_beat_supervisors")
    # 72 less 61 in one run, 85 less 71 in the other: the lesser decides.
    assert [number.value for number in found.numbers] == pytest.approx([0.11, 0.14])
    assert found.effect == pytest.approx(0.11)
    gains = [
        difference_interval(np.array(student), np.array(weak))
        for student, weak in (
            ([answers(70), answers(74)], [answers(60), answers(62)]),
            ([answers(85)] * 2, [answers(70), answers(72)]),
        )
    ]
    assert found.interval().low == pytest.approx(min(gain.low for gain in gains))
    # That one of two is below zero is claimed with half the error for each.
    assert found.interval().high == pytest.approx(min(number.interval(0.025).high for number in found.numbers))
    assert [series.label for series in found.panel.series] == ["weak", "student", "ceiling"]
    assert [point.x for point in found.panel.series[0].points] == ["a", "b"]


def test_gain_grows_with_gap(two: Mapping[str, Results]) -> None:
    found = said_of(two, "gain_grows_with_gap")
    # 81 less 72 at the large gap; 83 less 85 at the small one, so that the difference of gains is 9 + 2.
    assert [number.value for number in found.numbers] == pytest.approx([0.09, 0.11])
    opposite = said_of(two, "gain_grows_with_gap", large="b", small="a")
    assert opposite.effect == pytest.approx(-0.11)


def test_pgr_is_below(two: Mapping[str, Results]) -> None:
    found = said_of(two, "pgr_is_below", method="logconf")
    # (83 - 71) / (90 - 71) in the other, (81 - 61) / (90 - 61) in the one.
    assert found.effect == pytest.approx(12 / 19 - 20 / 29)
    assert [point.value for point in found.panel.series[0].points] == pytest.approx([20 / 29, 12 / 19])


def test_method_lifts_pgr_beside_the_ceiling_of_its_own(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(
        weak=[answers(60)] * 2,
        students={"naive": [answers(70)] * 2, "logconf": [answers(76)] * 2},
        ceiling=[answers(80)] * 2,
    )
    results = {"a": Results(run)}
    assert said_of(results, "method_lifts_pgr").effect == pytest.approx(16 / 20 - 10 / 20)
    assert said_of(results, "method_lifts_pgr", method="naive", beside="logconf").effect == pytest.approx(-0.3)


def test_a_gap_that_may_be_nothing_leaves_no_interval(make_run: MakeRun, answers: Answers) -> None:
    students = {"naive": [answers(52), answers(60)], "logconf": [answers(60), answers(55)]}
    run = make_run(weak=[answers(55), answers(60)], students=students, ceiling=[answers(60), answers(56)])
    found = said_of({"a": Results(run)}, "method_lifts_pgr")
    assert (found.interval().low, found.interval().high, found.p_value()) == (-float("inf"), float("inf"), 1.0)
    assert all((point.low, point.high) == (None, None) for point in found.panel.series[0].points)


def put_curves(run: Path, validation: list[list[float]], test: list[list[float]]) -> None:
    """Leave for each seed what its student scored after 0, 5 and 10 steps."""

    def said(answers: list[float]) -> Predictions:
        ids = tuple(f"e{n:04d}" for n in range(len(answers)))
        return Predictions(ids, tuple((1.0 - one, one) for one in answers), (1,) * len(answers))

    for stage in json.loads((run / "plan.json").read_text())["stages"]:
        if (stage["stage"], stage["of"]) == ("evaluate", "student"):
            folder = Path(stage["folder"])
            training = folder.parent / f"training-{folder.name}"
            training.mkdir()
            (folder / "config.yaml").write_text(yaml.safe_dump({"model_name_or_path": f"{training}/model"}))
            (training / "config.yaml").write_text(yaml.safe_dump({"stage": "train"}))
            parts = [
                CurvePart(step, split, said(answers[place]))
                for place, step in enumerate((0, 5, 10))
                for split, answers in (("validation", validation), ("test", test))
                if answers
            ]
            write_curve(training / CURVE_FILE, parts)


def test_accuracy_peaks_early(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(60)] * 2, students={"naive": [answers(70)] * 2}, ceiling=[answers(80)] * 2)
    # The validation split has its best after 5 steps; the test split, which is not asked, before the first.
    put_curves(run, [answers(5, 20), answers(15, 20), answers(10, 20)], [answers(90), answers(76), answers(70)])
    results = {"a": Results(run)}
    found = said_of(results, "accuracy_peaks_early", runs=["a"])
    assert found.effect == pytest.approx(0.76 - 0.70)
    assert [(point.x, point.value) for point in found.panel.series[0].points] == [(0.0, 0.9), (0.5, 0.76), (1.0, 0.7)]
    # Of several runs the mean counts.
    assert said_of({**results, "b": results["a"]}, "accuracy_peaks_early").effect == pytest.approx(0.06)


def test_a_student_that_is_best_at_the_end_lost_nothing(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(60)], students={"naive": [answers(70)]}, ceiling=[answers(80)])
    put_curves(run, [answers(5, 20), answers(10, 20), answers(15, 20)], [answers(90), answers(76), answers(70)])
    assert said_of({"a": Results(run)}, "accuracy_peaks_early", runs=["a"]).effect == 0


def test_peaks_need_evaluations_and_a_validation_split(make_run: MakeRun, answers: Answers) -> None:
    run = make_run(weak=[answers(60)], students={"naive": [answers(70)]}, ceiling=[answers(80)])
    with pytest.raises(ArtifactError, match="were not evaluated on their way; set train.evaluations"):
        said_of({"a": Results(run)}, "accuracy_peaks_early", runs=["a"])
    put_curves(run, [], [answers(90), answers(76), answers(70)])
    with pytest.raises(ArtifactError, match=r"no truth of a validation split tells the peak; set task.n_validation"):
        said_of({"a": Results(run)}, "accuracy_peaks_early", runs=["a"])


def test_imitation_falls_with_size(two: Mapping[str, Results]) -> None:
    # Supervisors err on 40 and 38 examples in one run, their students also on 30 and 26 of these; 30 and 28, 15 and 15.
    large, small = (30 / 40 + 26 / 38) / 2, (15 / 30 + 15 / 28) / 2
    found = said_of(two, "imitation_falls_with_size")
    assert found.effect == pytest.approx(small - large)
    assert [point.value for point in found.panel.series[0].points] == pytest.approx([small, large])
    sizes = {"small": ["b", "naive"], "medium": ["a", "naive"], "large": ["a", "logconf"]}
    # The line through three points at 0, 1 and 2 has the slope (third - first) / 2, whatever the second.
    largest = (20 / 40 + 18 / 38) / 2
    assert said_of(two, "imitation_falls_with_size", by_size=sizes).effect == pytest.approx(small - largest)
    four = {"one": ["a", "naive"], "two": ["b", "naive"], "three": ["a", "logconf"], "four": ["b", "logconf"]}
    last = (16 / 30 + 18 / 28) / 2
    slope = (-1.5 * large - 0.5 * small + 0.5 * largest + 1.5 * last) / (2 * 1.5**2 + 2 * 0.5**2)
    assert said_of(two, "imitation_falls_with_size", by_size=four).effect == pytest.approx(-3 * slope)


@pytest.mark.parametrize(
    "by_size", [{"one": ["a", "naive"]}, {"one": ["a"], "two": ["b", "naive"]}, {"one": "a", "two": "b"}]
)
def test_sizes_need_runs_and_methods(by_size: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"by_size: is .*; give two sizes or more, each as word: \[run, method\]"):
        options.build("hypotheses", {"name": "imitation_falls_with_size", "by_size": by_size})


def test_untrained_beats_student(two: Mapping[str, Results]) -> None:
    assert said_of(two, "untrained_beats_student").effect == pytest.approx(0.65 - 0.72)
    with pytest.raises(ArtifactError, match="run 'run_b', method 'naive': no zero_shot was evaluated"):
        said_of(two, "untrained_beats_student", run="b")


def test_errors_matter(two: Mapping[str, Results], make_run: MakeRun, answers: Answers) -> None:
    found = said_of(two, "errors_matter", independent="logconf", patterned=["naive"])
    assert found.effect == pytest.approx(0.81 - 0.72)
    students = {"naive": [answers(85)] * 2, "logconf": [answers(84), answers(82)], "other": [answers(85)] * 2}
    run = make_run(weak=[answers(70)] * 2, students=students, ceiling=[answers(90)] * 2)
    both = said_of({"a": Results(run)}, "errors_matter", patterned=["logconf", "other"])
    assert both.effect == pytest.approx(0.85 - (0.83 + 0.85) / 2)


def test_pgr_falls_with_size(make_run: MakeRun, answers: Answers) -> None:
    # Supervisors right on 60 and 70 %, ceilings on 80 and 90 %; of four gaps of 20, 30, 10 and 20 points come back 0.5,
    # 0.3, 0.6 and 0.4: that is 0.1 per doubling of the supervisor, and -0.2 of the student.
    known = {(1, 4): (60, 70, 80), (1, 8): (60, 69, 90), (2, 4): (70, 76, 80), (2, 8): (70, 78, 90)}
    # One more of the same supervisor, which alone determines no line.
    known |= {(1, 16): (60, 69, 90)}
    results = {
        f"{weak_size}_{strong_size}": Results(
            make_run(
                f"run_{weak_size}_{strong_size}",
                weak=[answers(weak)] * 2,
                students={"naive": [answers(student)] * 2},
                ceiling=[answers(ceiling)] * 2,
                weak_size=weak_size,
                strong_size=strong_size,
            )
        )
        for (weak_size, strong_size), (weak, student, ceiling) in known.items()
    }
    found = said_of(results, "pgr_falls_with_size", runs=[run for run in results if run != "1_16"])
    assert found.effect == pytest.approx(0.2)
    assert [series.label for series in found.panel.series] == ["supervisor 1", "supervisor 2"]
    assert [(point.x, point.value) for point in found.panel.series[0].points] == [
        ("4", pytest.approx(0.5)), ("8", pytest.approx(0.3))
    ]  # fmt: skip
    with pytest.raises(DataError, match="do not determine a line"):
        said_of(results, "pgr_falls_with_size", runs=["1_4", "1_8", "1_16"])


def test_sizes_that_are_not_known(two: Mapping[str, Results]) -> None:
    with pytest.raises(ArtifactError, match="run 'a': the sizes of its models are not known"):
        said_of({**two, "c": two["b"]}, "pgr_falls_with_size")


@pytest.fixture
def three(make_run: MakeRun, answers: Answers, put_saliency: Callable[..., None]) -> dict[str, Results]:
    """Three runs of which the supervisor errs on 40 of 100 examples; the students tell 10, 20 and 30 of these."""
    results = {}
    for name, told, student in (("a", 10, 75), ("b", 20, 70), ("c", 30, 65)):
        run = make_run(
            f"run_{name}", weak=[answers(60)] * 2, students={"naive": [answers(student)] * 2}, ceiling=[answers(80)] * 2
        )
        put_saliency(run, [[1.0 if 60 <= n < 60 + told else 0.0 for n in range(100)]] * 2)
        results[name] = Results(run)
    return results


def test_mistakes_are_salient(three: Mapping[str, Results]) -> None:
    # Of 40 mistakes 10 are above all else, and 30 tie: (10 + 30 / 2) / 40 = 0.625; of the second run 0.75.
    found = said_of(three, "mistakes_are_salient")
    assert found.effect == pytest.approx((0.625 + 0.75) / 2 - 0.5)
    states, doubts = found.panel.series
    assert [point.value for point in states.points] == pytest.approx([0.625, 0.75])
    # The supervisor is as sure of its mistakes as of all else.
    assert [point.value for point in doubts.points] == pytest.approx([0.5, 0.5])
    assert said_of(three, "mistakes_are_salient", beside="doubt").effect == found.effect
    with pytest.raises(ConfigError, match="beside: is 'doubts'; did you mean 'doubt'"):
        options.build("hypotheses", {"name": "mistakes_are_salient", "runs": ["a"], "beside": "doubts"})


def test_pgr_falls_with_saliency(three: Mapping[str, Results]) -> None:
    # PGR 0.75, 0.5 and 0.25 at areas of 0.625, 0.75 and 0.875: 0.2 less for 0.1 more.
    found = said_of(three, "pgr_falls_with_saliency")
    assert found.effect == pytest.approx(0.2)
    assert [point.x for point in found.panel.series[0].points] == ["0.62 (a)", "0.75 (b)", "0.88 (c)"]


def test_the_error_of_a_slope_is_that_of_new_draws() -> None:
    """Both numbers of five runs are means over the same 400 examples, with one seed: 400 experiments."""
    rng, ids = np.random.default_rng(0), [f"e{n:03d}" for n in range(400)]
    across, up = np.array([0.55, 0.6, 0.65, 0.7, 0.75]), np.array([0.8, 0.75, 0.7, 0.5, 0.45])
    slopes = []
    for _ in range(400):
        hard_N = rng.random(len(ids))
        numbers = [
            [mean_of((hard_N + rng.normal(0, 0.2, (1, len(ids))) < share).astype(float), ids) for share in shares]
            for shares in (across, up)
        ]
        slopes.append(slope(*numbers))
    between = np.std([one.value for one in slopes])
    assert np.sqrt(np.mean([one.estimate().variance for one in slopes])) == pytest.approx(between, rel=0.15)


def test_runs_that_did_not_look_for_mistakes(two: Mapping[str, Results]) -> None:
    with pytest.raises(ArtifactError, match="it was not looked for its supervisor's mistakes; set `saliency`"):
        said_of(two, "mistakes_are_salient")


def test_is_more_accurate(two: Mapping[str, Results], make_run: MakeRun, answers: Answers) -> None:
    found = said_of(two, "is_more_accurate")
    assert found.effect == pytest.approx(0.81 - 0.85)
    assert [(point.x, point.value) for point in found.panel.series[0].points] == [
        ("a logconf", pytest.approx(0.81)),
        ("b naive", pytest.approx(0.85)),
    ]
    supervisors = said_of(two, "is_more_accurate", of="weak")
    assert supervisors.effect == pytest.approx(0.61 - 0.71) and supervisors.panel.series[0].label == "weak"
    # Less accurate by no more than a tenth, and how sure that is does not change.
    lenient = said_of(two, "is_more_accurate", by=-0.1)
    assert lenient.effect == pytest.approx(0.06)
    assert lenient.interval().low == pytest.approx(found.interval().low + 0.1)
    elsewhere = {"hidden": {"weak": [answers(50)] * 2, "naive": [answers(20), answers(30)]}}
    run = make_run(
        "further",
        weak=[answers(60)] * 2,
        students={"naive": [answers(70)] * 2},
        ceiling=[answers(80)] * 2,
        further=elsewhere,
    )
    pair: dict[str, Any] = {"student": ["a", "naive"], "other": ["a", "naive", "hidden"]}
    assert said_of({"a": Results(run)}, "is_more_accurate", **pair).effect == pytest.approx(0.70 - 0.25)
    for wrong in ({"student": ["a"]}, {"other": ["a", "naive", "hidden", "more"]}, {"by": 1.5}, {"of": "wek"}):
        told = r"give \[run, method\] or|by: is 1.5; use a share from -1 to 1|of: is 'wek'; did you mean 'weak'"
        with pytest.raises(ConfigError, match=told):
            options.build("hypotheses", {"name": "is_more_accurate", **NEEDED["is_more_accurate"], **wrong})


def test_is_above(two: Mapping[str, Results]) -> None:
    found, accuracy = said_of(two, "is_above"), two["a"].accuracy("student", "logconf").interval()
    assert found.effect == pytest.approx(0.81 - 0.5)
    assert found.interval().low == pytest.approx(accuracy.low - 0.5)
    assert [(point.x, point.value) for point in found.panel.series[0].points] == [("a logconf", pytest.approx(0.81))]
    below = said_of(two, "is_above", share=0.9, below=True)
    assert below.effect == pytest.approx(0.9 - 0.81)
    assert below.interval().high == pytest.approx(0.9 - accuracy.low)
    for wrong in ({"student": ["a"]}, {"share": 1.5}):
        with pytest.raises(ConfigError, match=r"give \[run, method\] or|share: is 1.5; use a share from 0 to 1"):
            options.build("hypotheses", {"name": "is_above", **NEEDED["is_above"], **wrong})


def test_loses_less(make_run: MakeRun, answers: Answers) -> None:
    """A method with better students is not said to protect them: what it loses is what counts."""

    def lost(first: tuple[int, int], second: tuple[int, int]) -> Evidence:
        (mine, mine_after), (others, others_after) = first, second
        students = {"agree": mine, "agree_torn": mine_after, "naive": others, "torn": others_after}
        run = make_run(
            f"run_{mine_after}",
            weak=[answers(60)] * 2,
            students={name: [answers(right), answers(right + 2)] for name, right in students.items()},
            ceiling=[answers(95)] * 2,
        )
        pairs = {"student": [["a", "agree"], ["a", "agree_torn"]], "other": [["a", "naive"], ["a", "torn"]]}
        return said_of({"a": Results(run)}, "loses_less", **pairs)

    protects = lost((90, 88), (80, 68))
    assert protects.effect == pytest.approx(0.12 - 0.02) and protects.interval().low > 0
    assert [[point.value for point in series.points] for series in protects.panel.series] == [
        [pytest.approx(0.91), pytest.approx(0.89)],
        [pytest.approx(0.81), pytest.approx(0.69)],
    ]
    # More accurate with and without, and as much is lost.
    assert lost((90, 78), (80, 68)).effect == pytest.approx(0.0)
    same = NEEDED["loses_less"]["student"]
    with pytest.raises(ConfigError, match="it would be compared with itself"):
        options.build("hypotheses", {"name": "loses_less", "student": same, "other": same})
    for wrong in ({"student": [["a", "naive"]]}, {"other": [["a"], ["a", "naive"]]}, {"other": [["a", "naive"]] * 2}):
        with pytest.raises(ConfigError, match=r"give two of \[run, method\] or .*, first the one without what is done"):
            options.build("hypotheses", {"name": "loses_less", **NEEDED["loses_less"], **wrong})


def test_deception_exceeds_chance(make_run: MakeRun, answers: Answers) -> None:
    # The supervisor knows 60, without the conflict students know 80, with it those from 20 on.
    run = make_run(
        weak=[answers(60)] * 2,
        students={
            "naive": [answers(80)] * 2,
            "logconf": [answers(50, start=20), answers(20)],
            "unmoved": [answers(80)] * 2,
        },
        ceiling=[answers(90)] * 2,
    )
    found = said_of({"a": Results(run)}, "deception_exceeds_chance")
    # Lost: 20 known ones and 10 that are not; with the other seed 40 and 20. Of 80 that could be lost 20 are not known.
    assert found.effect == pytest.approx((10 / 30 + 20 / 60) / 2 - 20 / 80)
    assert [point.value for point in found.panel.series[0].points] == pytest.approx([1 / 3, 1 / 4])
    # In the words of its formula, whose whole is not the tax: a tax may be lost where the ceiling knows nothing, too.
    said = catalog.lookup("hypotheses", "deception_exceeds_chance").effect
    assert "of what ceiling and student had right and the conflict made wrong" in said and "tax" not in said
    # A student that lost nothing has no score, and nothing is shown.
    nothing = said_of({"a": Results(run)}, "deception_exceeds_chance", method="unmoved")
    assert nothing.p_value() == 1.0
    assert [point.low for point in nothing.panel.series[0].points][0] is None


def test_p_is_the_error_at_which_the_interval_ends_at_zero(two: Mapping[str, Results]) -> None:
    found = said_of(two, "students_beat_supervisors")
    p = found.p_value()
    assert 0 < p < 1 and found.interval(p).low == pytest.approx(0, abs=1e-6)
