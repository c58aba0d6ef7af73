"""Debates as texts: who speaks, what a debater reads, what a judge reads."""

from w2s_rm.data.transcripts import CONSULTANCY, DEBATE, Argument, request, sides, transcript, with_transcript
from w2s_rm.types import Example

PAIR = Example("e1", "g", "which ?", (" yes", " no"), 0, margin=0.5)
SAID = [Argument("e1", 0, 0, "it {candidate} is"), Argument("e1", 0, 1, "{said}")]


def test_in_a_debate_all_speak_and_in_a_consultancy_one_by_chance() -> None:
    examples = [Example(f"e{n}", "g", "p", ("a", "b", "c"), 0) for n in range(3000)]
    assert {sides(example, DEBATE, 0) for example in examples} == {(0, 1, 2)}
    drawn = [sides(example, CONSULTANCY, 0) for example in examples]
    # A third each; four standard errors of 0.0086.
    assert all(abs(drawn.count((k,)) / 3000 - 1 / 3) < 0.035 for k in range(3))
    assert drawn != [sides(example, CONSULTANCY, 1) for example in examples]


def test_texts_are_put_in_once() -> None:
    """Braces in a text stay what they are, also where they hold the name of another text."""
    asked = request("{prompt}|{candidate}|{said}|{other}", PAIR, 1, SAID, "[{candidate}:{argument}]")
    assert asked == "which ?| no|[ yes:it {candidate} is][ no:{said}]|{other}"
    assert request("{said}", PAIR, 0, [], "x{argument}") == " nothing"


def test_a_judge_reads_the_transcript_at_the_end_of_the_prompt() -> None:
    argued = with_transcript(PAIR, SAID, " {candidate} {argument}")
    assert argued.prompt == "which ?  yes it {candidate} is  no {said}"
    assert (argued.id, argued.candidate_ids, argued.gold, argued.margin) == ("e1", PAIR.candidate_ids, 0, 0.5)
    assert transcript(PAIR, [], "{argument}") == ""


def test_conversations_are_read_and_go_on() -> None:
    prompt = ({"role": "system", "content": "be kind"}, {"role": "user", "content": "which ?"})
    talk = Example(
        "e2", "g", prompt, (({"role": "assistant", "content": "a"},), ({"role": "assistant", "content": "b"},)), 0
    )
    assert request("{prompt}/{candidate}", talk, 1, [], "{argument}") == "system: be kind\nuser: which ?/assistant: b"
    argued = with_transcript(talk, [Argument("e2", 0, 1, "yes")], " {argument}")
    assert argued.prompt == (prompt[0], {"role": "user", "content": "which ? yes"})
    assert with_transcript(
        Example("e3", "g", (), talk.candidates, 0), [Argument("e3", 0, 0, "x")], "{argument}"
    ).prompt == ({"role": "user", "content": "x"},)
