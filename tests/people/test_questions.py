"""What a labeller sees, and in which order."""

from w2s_rm.people.questions import TIE, Question, questions
from w2s_rm.types import Example, Step


def example(number: int, group: str = "", prompt: str = "") -> Example:
    return Example(f"e{number}", group or f"g{number}", prompt or f"p{number}", ("good", "bad", "worse"), 0)


def test_places_say_nothing_about_candidates() -> None:
    asked = questions([example(n) for n in range(3000)], "anna", has_classes=False)
    shares = [sum(one.order[0] == k for one in asked) / len(asked) for k in range(3)]
    # Of 3,000 a third has a standard error of 0.0086; four of them.
    assert all(abs(share - 1 / 3) < 0.035 for share in shares)
    again = questions([example(n) for n in range(3000)], "ben", has_classes=False)
    same = sum(a.order == b.order for a, b in zip(asked, again, strict=True)) / len(asked)
    # Two labellers share one of six orders by chance: standard error 0.0068.
    assert abs(same - 1 / 6) < 0.028


def test_what_is_shown_tells_nothing_else() -> None:
    (one,) = questions([example(7777)], "anna", has_classes=False)
    assert one.shown() == {"prompt": "p7777", "candidates": [one.example.candidates[k] for k in one.order]}
    assert "e7777" not in one.name
    # Nor can it be found out from the id alone.
    assert one.name != questions([example(7777)], "anna", has_classes=False, salt="secret")[0].name
    assert one.candidate_ids == tuple(one.example.candidate_ids[k] for k in one.order)


def test_classes_keep_their_keys() -> None:
    assert {one.order for one in questions([example(n) for n in range(9)], "anna", has_classes=True)} == {(0, 1, 2)}


def test_steps_of_a_solution_come_in_their_order() -> None:
    steps = [("b", "x yy zzz"), ("a", "x"), ("b", "x"), ("c", "x"), ("a", "x yy"), ("b", "x yy")]
    asked = questions([example(n, *step) for n, step in enumerate(steps)], "anna", has_classes=True)
    assert [one.example.id for one in asked] == ["e2", "e5", "e0", "e1", "e4", "e3"]
    # Of two solutions of one problem each stays in one piece.
    mixed = [
        Example(f"{name}{n}", "g", "p" * n, ("right", "wrong"), 0, step=Step(name, n, n == 2, ()))
        for n in (2, 1)
        for name in "ab"
    ]
    pieces = (["a1", "a2", "b1", "b2"], ["b1", "b2", "a1", "a2"])
    assert [one.example.id for one in questions(mixed, "anna", has_classes=True)] in pieces
    talk = tuple({"role": "user", "content": "x" * n} for n in (1, 2))
    talks = [Example("long", "g", talk, ("a", "b"), None), Example("short", "g", talk[:1], ("a", "b"), None)]
    assert [one.example.id for one in questions(talks, "anna", has_classes=True)] == ["short", "long"]


def test_places_say_nothing_about_solutions() -> None:
    """Tasks number their solutions, and some begin with the right one."""
    examples = [
        Example(f"{problem}-{number}-0", f"g{problem}", "p", ("wrong", "right"), 0, step=Step(name, 0, True, ()))
        for problem in range(3000)
        for number in range(3)
        for name in [f"{problem}-{number}"]
    ]
    orders = {}
    for labeller in ("anna", "ben"):
        names = [one.example.id.split("-") for one in questions(examples, labeller, has_classes=True)]
        assert [problem for problem, *_ in names[::3]] == [str(problem) for problem in range(3000)]
        orders[labeller] = [tuple(number for _, number, _ in names[at : at + 3]) for at in range(0, 9000, 3)]
        # As in the test of candidates' places.
        assert all(abs(sum(o[0] == k for o in orders[labeller]) / 3000 - 1 / 3) < 0.035 for k in "012")
    same = sum(a == b for a, b in zip(orders["anna"], orders["ben"], strict=True)) / 3000
    assert abs(same - 1 / 6) < 0.028


def test_choices_and_labels_are_the_same() -> None:
    one = Question(example(1), (2, 0, 1))
    for choice in (0, 1, 2, TIE):
        label = dict(zip(one.candidate_ids, one.probabilities(choice), strict=True))
        assert one.choice(label) == choice
    assert one.probabilities(1) == (0.0, 1.0, 0.0) and one.candidate_ids[1] == one.example.candidate_ids[0]
