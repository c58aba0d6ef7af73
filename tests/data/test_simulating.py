"""Simulated supervisors: how many errors, where they are, and what the labels say."""

import math
import random

import pytest

from w2s_rm import catalog
from w2s_rm.data.distributions import best_candidates, label_accuracy
from w2s_rm.data.examples import hash_order
from w2s_rm.data.label_files import WeakLabel
from w2s_rm.data.simulating import KINDS, margins, opposed, simulate, with_truths
from w2s_rm.data.splits import SplitSizes, split_examples
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.types import Example

N = 40


def example(i, k=2):
    """Longer with `i`, on two of eleven things."""
    prompt = f"w{i % 11} w{i % 7} " + "?" * (i + 1)
    return hash_order(Example(f"id{i}", f"g{i}", prompt, tuple(f"{i} {j}" for j in range(k)), 0))


EXAMPLES = [example(i) for i in range(N)]
MARGINS = {f"id{i}": (i * 7 % N) / N for i in range(N)}


def options(kind):
    return {
        "random": {},
        "clustered": {"pattern": "w[0-9]+"},
        "systematic": {"feature": "length"},
        "hard": {"difficulty": MARGINS},
        "adversarial": {"difficulty": MARGINS},
    }[kind]


def wrong(labels, examples=EXAMPLES):
    gold = {example.id: example.gold for example in examples}
    return {label.id for label in labels if best_candidates(label) != (gold[label.id],)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("accuracy", "right"), [(0.6, 24), (0.69, 28), (0.71, 28), (0.9, 36), (1.0, 40)])
def test_the_share_of_right_labels_is_exact(kind, accuracy, right):
    labels = simulate(EXAMPLES, accuracy, kind, seed=1, **options(kind))
    truth = {example.id: example.gold for example in EXAMPLES}
    assert label_accuracy(labels, truth) == right / N


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_examples_does_not_matter(kind):
    mixed = EXAMPLES[:]
    random.Random(2).shuffle(mixed)
    labels = simulate(EXAMPLES, 0.7, kind, seed=1, **options(kind))
    assert [label.id for label in labels] == [example.id for example in EXAMPLES]
    assert {x.id: x for x in simulate(mixed, 0.7, kind, seed=1, **options(kind))} == {x.id: x for x in labels}


@pytest.mark.parametrize("kind", KINDS)
def test_a_worse_supervisor_keeps_the_errors_of_a_better_one(kind):
    better, worse = (wrong(simulate(EXAMPLES, accuracy, kind, seed=1, **options(kind))) for accuracy in (0.8, 0.6))
    assert better < worse


def test_random_errors_differ_with_the_seed_and_know_no_length():
    many = [example(i) for i in range(2000)]
    first, second = (wrong(simulate(many, 0.7, "random", seed=seed), many) for seed in (1, 2))
    assert first != second
    # 600 errors of which half are among the shorter half; standard deviation below sqrt(600) / 2 = 12.2.
    assert abs(sum(int(id[2:]) < 1000 for id in first) - 300) < 4 * 12.2


def test_systematic_errors_are_those_with_the_largest_feature():
    expected = {f"id{i}" for i in range(30, N)}
    assert wrong(simulate(EXAMPLES, 0.75, "systematic", seed=1, feature="length")) == expected
    turned = EXAMPLES[::-1]
    assert wrong(simulate(turned, 0.75, "systematic", seed=1, feature="length")) == expected
    assert wrong(simulate(EXAMPLES, 0.75, "systematic", seed=1, feature="position")) == expected
    first = {f"id{i}" for i in range(10)}
    assert wrong(simulate(turned, 0.75, "systematic", seed=1, feature="position")) == first


def test_errors_by_position_are_by_the_place_in_a_table_where_it_is_told():
    """A split is in the order of a hash, which says nothing."""
    places = {f"id{i}": (7 * i) % N for i in range(N)}
    last = {id for id, place in places.items() if place >= N - 10}
    assert wrong(simulate(EXAMPLES, 0.75, "systematic", seed=1, feature="position", places=places)) == last
    with pytest.raises(DataError, match="id 'id3': no place"):
        simulate(EXAMPLES, 0.75, "systematic", seed=1, feature="position", places={f"id{i}": i for i in range(3)})


def test_length_of_conversations_is_what_is_said():
    def talk(i, words):
        turns = ({"role": "user", "content": words},)
        return Example(f"id{i}", f"g{i}", turns, (({"role": "assistant", "content": "a"},), "b"), 0)

    examples = [talk(0, "long " * 9), talk(1, "short"), talk(2, "middle " * 3)]
    assert wrong(simulate(examples, 0.67, "systematic", seed=0, feature="length"), examples) == {"id0"}


def test_examples_of_equal_feature_follow_the_seed():
    same = [Example(f"id{i}", f"g{i}", "?", ("a", "b"), 0) for i in range(N)]
    first, second = (
        wrong(simulate(same, 0.5, "systematic", seed=s, feature="length", confidence=0.9), same) for s in (1, 2)
    )
    assert len(first) == len(second) == 20
    assert first != second


def test_clustered_errors_are_those_on_a_few_things():
    """Right labels and wrong ones share things, but at most one thing has both, where the number is full."""
    words = {example.id: set(example.prompt.split()[:2]) for example in EXAMPLES}
    kinds = set()
    for seed in range(20):
        bad = wrong(simulate(EXAMPLES, 0.7, "clustered", seed=seed, pattern="w[0-9]+"))
        doubtful = {
            word for word in set().union(*words.values()) if all(id in bad for id in words if word in words[id])
        }
        left = {id for id in bad if not words[id] & doubtful}
        # What is left of the errors lies on one more thing.
        assert doubtful and (not left or set.intersection(*(words[id] for id in left)))
        kinds.add(frozenset(doubtful))
    assert len(kinds) > 5, "other seeds, other things"


def test_a_message_of_a_conversation_has_words_too():
    said = [Example(f"id{i}", f"g{i}", ({"role": "user", "content": f"w{i % 2}"},), ("a", "b"), 0) for i in range(8)]
    bad = wrong(simulate(said, 0.5, "clustered", seed=0, pattern="w[0-9]+", confidence=0.9), said)
    assert bad in ({f"id{i}" for i in range(start, 8, 2)} for start in (0, 1))


def test_a_pattern_that_matches_too_little():
    with pytest.raises(
        DataError, match="12 examples are to be wrong, and only 3 of 40 prompts have a word that matches"
    ):
        simulate(EXAMPLES, 0.7, "clustered", seed=1, pattern=r"w10\b")


def test_hard_and_adversarial_errors_are_at_the_two_ends():
    by_margin = sorted(MARGINS, key=MARGINS.__getitem__)
    assert wrong(simulate(EXAMPLES, 0.75, "hard", seed=1, difficulty=MARGINS)) == set(by_margin[:10])
    assert wrong(simulate(EXAMPLES, 0.75, "adversarial", seed=1, difficulty=MARGINS)) == set(by_margin[-10:])


def test_labels_say_how_often_they_are_right():
    labels = simulate(EXAMPLES, 0.75, "random", seed=1)
    assert {max(label.probabilities) for label in labels} == {0.75}
    assert all(label.scores is None for label in labels)
    assert {max(x.probabilities) for x in simulate(EXAMPLES, 0.75, "random", seed=1, confidence=0.95)} == {0.95}


def test_more_candidates_share_the_rest_and_each_of_them_may_be_named():
    many = [example(i, k=4) for i in range(1200)]
    labels = simulate(many, 0.0, "random", seed=1, confidence=0.7)
    named = [0, 0, 0, 0]
    for one, label in zip(many, labels, strict=True):
        assert label.candidate_ids == one.candidate_ids
        assert sorted(label.probabilities) == pytest.approx([0.1, 0.1, 0.1, 0.7], abs=1e-12)
        text = one.candidates[best_candidates(label)[0]]
        named[int(text.split()[1])] += 1
    # The right one never; the three others 400 times each, standard deviation sqrt(1200 * 2/9) = 16.3.
    assert named[0] == 0
    assert all(abs(count - 400) < 4 * 16.3 for count in named[1:])


def test_the_order_of_candidates_does_not_matter():
    many = [example(i, k=4) for i in range(50)]
    turned = [Example(x.id, x.group, x.prompt, x.candidates[::-1], len(x.candidates) - 1 - x.gold) for x in many]
    for one, other in zip(*(simulate(x, 0.3, "random", seed=1, confidence=0.9) for x in (many, turned)), strict=True):
        assert one.probabilities == other.probabilities[::-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "randomly"}, "unknown kind of simulated supervisor 'randomly'; did you mean 'random'?"),
        ({"accuracy": 1.2}, r"accuracy is 1.2; give a number in \[0, 1\]"),
        ({"accuracy": math.nan}, "accuracy is nan"),
        ({"accuracy": True}, "accuracy is True"),
        ({"accuracy": "0.7"}, "accuracy is '0.7'"),
        ({"confidence": -0.1}, r"confidence is -0.1; give a number in \[0, 1\]"),
        ({"accuracy": 0.3}, "confidence is 0.3, and with 2 candidates .*; give a confidence above 1/2"),
        ({"confidence": 0.5}, "confidence is 0.5, and with 2 candidates"),
        ({"kind": "systematic"}, "feature is None; name one of length, position"),
        ({"kind": "systematic", "feature": "lenght"}, "unknown feature 'lenght'; did you mean 'length'?"),
        ({"feature": "length"}, "feature is 'length'; leave it out"),
        ({"kind": "clustered"}, "pattern is None; give a regular expression for words"),
        ({"pattern": "a"}, "pattern is 'a'; leave it out"),
        ({"kind": "clustered", "pattern": "("}, r"pattern is '\(', no regular expression"),
        ({"kind": "clustered", "pattern": "(a)(b)"}, "with 2 groups; use one at most"),
        ({"kind": "clustered", "pattern": "a*"}, "matches nothing at all"),
        ({"kind": "hard"}, "difficulty is missing; give the margins of a model"),
        ({"kind": "adversarial"}, "difficulty is missing; give the margins of a model"),
        ({"difficulty": MARGINS}, "difficulty is given; leave it out"),
    ],
)
def test_options_that_do_not_fit(change, message):
    with pytest.raises(ConfigError, match=message):
        simulate(EXAMPLES, **{"accuracy": 0.7, "kind": "random", "seed": 1} | change)


def test_examples_that_cannot_be_labelled():
    blank = Example("blank", "g", "?", ("a", "b"), None)
    with pytest.raises(DataError, match="cannot label these(.|\n)*id 'blank': no ground truth"):
        simulate([*EXAMPLES, blank], 0.7, "random", seed=1)
    few = {id: margin for id, margin in MARGINS.items() if id != "id3"} | {"id5": math.nan}
    with pytest.raises(DataError, match="id 'id3': no difficulty\n.*id 'id5': no difficulty"):
        simulate(EXAMPLES, 0.7, "hard", seed=1, difficulty=few)
    with pytest.raises(DataError, match="there are no examples to label"):
        simulate([], 0.7, "random", seed=1)
    with pytest.raises(DataError, match="ids occur twice"):
        simulate([EXAMPLES[0]] * 2, 0.7, "random", seed=1)


def test_margins_are_between_the_best_and_the_second_best_score():
    labels = [
        WeakLabel("scored", ("a", "b", "c"), (0.1, 0.2, 0.7), (-1.0, 3.5, 1.5)),
        WeakLabel("tied", ("a", "b"), (0.5, 0.5), (2.0, 2.0)),
        WeakLabel("plain", ("a", "b", "c"), (0.5, 0.125, 0.375)),
    ]
    assert margins(labels) == {"scored": 2.0, "tied": 0.0, "plain": 0.125}


def weak(one):
    names = one.candidate_ids
    return WeakLabel(one.id, names, tuple(1 / len(names) for _ in names), tuple(0.0 for _ in names))


WEAK = [weak(one) for one in EXAMPLES]


@pytest.mark.parametrize("n_true", [0, 1, 13, N, N + 5])
def test_as_many_labels_as_asked_for_become_the_truth(n_true):
    made = with_truths(EXAMPLES, WEAK, n_true, seed=0)
    assert [one.id for one in made] == [one.id for one in EXAMPLES]
    true = [(one, own) for one, own in zip(made, EXAMPLES, strict=True) if one.scores is None]
    assert len(true) == min(n_true, N)
    assert all(one.candidate_ids == own.candidate_ids and one.probabilities == own.targets for one, own in true)
    assert all(one == old for one, old in zip(made, WEAK, strict=True) if one.scores is not None)


def test_fewer_truths_are_among_more_and_the_seed_and_no_order_decides():
    def true(n, seed=0, examples=EXAMPLES):
        labels = with_truths(examples, [weak(one) for one in examples], n, seed=seed)
        return {one.id for one in labels if one.scores is None}

    assert true(5) < true(20)
    assert true(20) != true(20, seed=1)
    assert true(20) == true(20, examples=EXAMPLES[::-1])


def test_a_soft_truth_is_put_in_as_it_is_and_an_unknown_one_not_at_all():
    soft = Example("soft", "g", "?", ("a", "b"), None, truth=(0.75, 0.25))
    unknown = Example("unknown", "g", "?", ("a", "b"), None)
    made = with_truths([unknown, soft], [weak(unknown), weak(soft)], 2, seed=0)
    assert made[0] == weak(unknown)
    assert made[1].probabilities == (0.75, 0.25)


def test_labels_are_drawn_towards_what_is_wrong():
    three = [example(i, k=3) for i in range(4)]
    given = [WeakLabel(one.id, one.candidate_ids, (0.6, 0.3, 0.1), (1.0, 0.0, -1.0)) for one in three]
    made = opposed(three, given, 0.4)
    for one, label in zip(three, made, strict=True):
        # 0.6 times what was said, and 0.2 on each of the two that are wrong.
        wanted = [0.6 * p + (0.0 if k == one.gold else 0.2) for k, p in enumerate((0.6, 0.3, 0.1))]
        assert label.probabilities == pytest.approx(wanted) and sum(label.probabilities) == pytest.approx(1)
        assert (label.id, label.candidate_ids, label.scores) == (one.id, one.candidate_ids, None)
    assert wrong(opposed(EXAMPLES, [weak(one) for one in EXAMPLES], 1.0)) == {one.id for one in EXAMPLES}


def test_lies_keep_to_their_region():
    region = {one.id for one in EXAMPLES if "w3 " in one.prompt}
    made = opposed(EXAMPLES, WEAK, 1.0, "w3 ")
    assert 0 < len(region) < N
    assert all(new == old for new, old in zip(made, WEAK, strict=True) if new.id not in region)
    assert all(label.id in wrong(made) for label in made if label.id in region)


def test_lies_that_cannot_be_told_are_refused():
    with pytest.raises(DataError, match=r"'w99' is found in none of 40 prompts; give another pattern"):
        opposed(EXAMPLES, WEAK, 1.0, "w99")
    unknown = Example("unknown", "g", "?", ("a", "b"), None)
    with pytest.raises(DataError, match="id 'unknown': no ground truth"):
        opposed([unknown], [weak(unknown)], 1.0)


@pytest.mark.parametrize(
    ("name", "accuracy", "sizes", "shares"),
    [
        # Those of `recipes/findings.yaml` and `recipes/questions/knobs.yaml`.
        ("world_classification", 0.8, {"n_train": 6000, "n_validation": 400, "n_test": 1200}, (0.66, 0.16)),
        ("world_preference", 0.77, {"n_train": 3700, "n_test": 740}, (0.63, 0.29)),
    ],
)
def test_errors_by_length_are_errors_by_wording_in_the_worlds_of_facts(name, accuracy, sizes, shares):
    # Said in docs/questions.md and docs/world.md.
    task = catalog.lookup("tasks", name)()
    rows = [task.to_example(row) for row in task.rows()]
    n_classes = None if task.classes is None else len(task.classes)
    examples = split_examples(rows, SplitSizes(**sizes), name, n_classes, has_classes=n_classes is not None).relabel
    labels = simulate(examples, accuracy, "systematic", seed=20, feature="length")
    wrong = {relation: [] for relation in ("down_size", "down_age", "up_size", "up_age")}
    for example, label in zip(examples, labels, strict=True):
        (named,) = best_candidates(label)
        right = label.candidate_ids[named] == example.candidate_ids[example.gold]
        wrong[example.prompt.split()[2]].append(not right)
    # Another seed decides between questions of equal length.
    assert [sum(each) / len(each) for each in wrong.values()] == pytest.approx([*shares, 0, 0], abs=0.01)
