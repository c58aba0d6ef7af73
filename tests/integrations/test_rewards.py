"""A reward function gives the scores seen in training, alone or in a batch, whatever the policy's template is."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.integrations.deepspeed import HfDeepSpeedConfig, is_deepspeed_zero3_enabled

from w2s_rm import W2SRewardConfig, W2SRewardTrainer, cli
from w2s_rm.data.examples import write_examples
from w2s_rm.data.label_files import read_labels
from w2s_rm.errors import ConfigError, DataError, NonFiniteError
from w2s_rm.integrations.preferences import to_preferences
from w2s_rm.integrations.reward_model import load_reward_model
from w2s_rm.integrations.rewards import reward_function
from w2s_rm.integrations.scorer import Scorer, share_prompts
from w2s_rm.stages.relabel import Relabel
from w2s_rm.training.facts import FILE, ScoringFacts, write_facts
from w2s_rm.types import Example

WORDS = [f"w{number}" for number in range(5, 60)]


def words(generator: random.Random, most: int) -> str:
    return " ".join(generator.choices(WORDS, k=generator.randint(1, most)))


def conversation(text: str, role: str = "user") -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def conversational(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    return [{name: conversation(row[name].strip(), role) for name, role in roles.items()} for row in rows]


@pytest.mark.parametrize(("kind", "architecture"), [("text", "llama"), ("conversations", "mistral")])
def test_rewards_are_the_trainers_scores(
    kind: str, architecture: str, reward_folder: Callable[..., Path], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    folder = reward_folder(kind == "conversations", architecture)
    rows = pairs(21) if kind == "text" else conversational(pairs(21))
    args = W2SRewardConfig(str(tmp_path / "out"), use_cpu=True, bf16=False, report_to=[], max_length=64)
    trainer = W2SRewardTrainer(model=str(folder), args=args, train_dataset=datasets.Dataset.from_list(rows))
    expected = trainer.predict(trainer.train_dataset).predictions
    reward = reward_function(str(folder), batch_size=8)
    assert len(set(expected.flatten().tolist())) > 30, "different texts have different scores"
    for column, name in enumerate(("chosen", "rejected")):
        found = reward(prompts=[row["prompt"] for row in rows], completions=[row[name] for row in rows])
        torch.testing.assert_close(torch.tensor(found), torch.tensor(expected[:, column]), rtol=1e-5, atol=1e-5)


def test_scores_of_examples_are_the_relabel_stages(reward_folder: Callable[..., Path], tmp_path: Path) -> None:
    generator = random.Random(1)
    examples = [
        Example(
            f"e{n}", f"g{n}", words(generator, 30), (f" {words(generator, 9)} w1", f" {words(generator, 20)} w2"), 0
        )
        for n in range(20)
    ]
    folder, output = reward_folder(), tmp_path / "relabel"
    write_examples(tmp_path / "examples.parquet", examples)
    config = {"stage": "relabel", "examples": str(tmp_path / "examples.parquet"), "model_name_or_path": str(folder)}
    # A third of them is too long, and cut.
    (tmp_path / "stage.yaml").write_text(yaml.safe_dump({**config, "max_length": 32, "bf16": False}), encoding="utf-8")
    Relabel.run(["--config", str(tmp_path / "stage.yaml"), "--output_dir", str(output)])
    expected = [label.scores for label in read_labels(output / "weak_labels.parquet")]
    found = Scorer(load_reward_model(str(folder)), max_length=32).score_examples(examples)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("architecture", "pad"), [("llama", "<pad>"), ("llama", "<eos>"), ("bert", "<pad>")])
def test_a_reward_does_not_depend_on_its_batch(
    architecture: str, pad: str, reward_folder: Callable[..., Path], by_hand: Callable[..., float]
) -> None:
    folder, generator = reward_folder(False, architecture, pad), random.Random(0)
    prompts = [words(generator, 20) for _ in range(5)]
    asked = [generator.choice(prompts) for _ in range(23)]
    answers = [f" {words(generator, 12)}" for _ in asked]
    asked, answers = [*asked, asked[0]], [*answers, answers[0]]
    expected = [reward_function(str(folder))([p], [a])[0] for p, a in zip(asked[:3], answers[:3], strict=True)]
    assert expected[0] == pytest.approx(by_hand(folder, f"{asked[0]}{answers[0]}<eos>"), abs=1e-5)
    together = {size: reward_function(str(folder), batch_size=size)(asked, answers) for size in (1, 4, 64)}
    assert len(set(together[1])) > 15, "different texts have different scores"
    for rewards in together.values():
        assert rewards[:3] == pytest.approx(expected, abs=1e-5)
        assert rewards == pytest.approx(together[1], abs=1e-5)
        assert rewards[-1] == pytest.approx(rewards[0], abs=1e-6)


def test_equal_tokens_have_equal_rewards(reward_folder: Callable[..., Path]) -> None:
    """In batches of 4 the copies stand beside other rows; and one text may be cut into prompt and response twice."""
    generator = random.Random(0)
    prompts = [words(generator, 20) for _ in range(9)]
    answers = [f" {words(generator, 12)}" for _ in prompts]
    order = [generator.randrange(9) for _ in range(60)]
    reward = reward_function(str(reward_folder()), batch_size=4)
    rewards = reward([prompts[index] for index in order], [answers[index] for index in order])
    assert len(set(rewards)) == len(set(order)) == 9
    assert len(set(reward(["w5 w6", "w5"], [" w7", " w6 w7"]))) == 1


def test_examples_that_are_alike_are_ties_and_no_preferences(reward_folder: Callable[..., Path]) -> None:
    """All candidates begin with the same 20 words, so that nothing else is left of them."""
    generator = random.Random(2)
    start = [" ".join(generator.choices(WORDS, k=20)) for _ in range(16)]
    examples = [Example(f"e{n}", f"g{n}", f"w{n}", (f" {text} w5", f" {text} w6"), 0) for n, text in enumerate(start)]
    scores = Scorer(load_reward_model(str(reward_folder())), max_length=16).score_examples(examples)
    assert all(first == second for first, second in scores)
    made = to_preferences(examples, scores)
    assert (made.rows, made.counts["ties"]) == ([], 16)


def test_conversations_are_rendered_with_the_reward_models_template(
    reward_folder: Callable[..., Path], by_hand: Callable[..., float]
) -> None:
    folder = reward_folder(True)
    (found,) = reward_function(str(folder))([conversation("w7 w8")], [conversation("w9", "assistant")])
    assert found == pytest.approx(by_hand(folder, "w3 w7 w8 <eos>w4 w9 <eos>"), abs=1e-5)


TOOLS_TEMPLATE = (
    "{% for t in tools or [] %}{{ t.name + ' ' }}{% endfor %}{% for m in messages %}{{ (m.content or '') + ' ' }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name + ' ' }}{% endfor %}{% endfor %}{{ mood or '' }}"
)


def test_tools_and_calls_reach_the_template(
    reward_folder: Callable[..., Path],
    by_hand: Callable[..., float],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Given as columns to a reward function, as fields of a scored line, or with examples."""
    folder = reward_folder(TOOLS_TEMPLATE)
    prompt, tools, more = conversation("w5"), [{"name": "w6"}], {"mood": "w9"}
    completion = [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "w6"}}]}]
    expected = [by_hand(folder, "w6 w5 w6 w9"), by_hand(folder, "w5 w6 ")]
    given = {"tools": [json.dumps(tools), None], "chat_template_kwargs": [more, None]}
    assert reward_function(str(folder))([prompt] * 2, [completion] * 2, **given) == pytest.approx(expected, abs=1e-5)
    lines = [{"prompt": json.dumps(prompt), "response": completion}, {"prompt": prompt, "response": completion}]
    path = tmp_path / "asked.jsonl"
    path.write_text(json.dumps(lines[0] | {"tools": tools, "chat_template_kwargs": more}) + "\n" + json.dumps(lines[1]))
    assert cli.main(["score", str(folder), str(path)]) == 0
    rewards = [json.loads(line)["reward"] for line in capsys.readouterr().out.splitlines()]
    assert rewards == pytest.approx(expected, abs=1e-5)
    one = Example("x", "x", tuple(prompt), (tuple(completion), tuple(conversation("w7"))), 0)
    found = Scorer(load_reward_model(str(folder))).score_examples(
        [replace(one, template_kwargs={"tools": tools, **more}), one]
    )
    assert [row[0] for row in found] == pytest.approx(expected, abs=1e-5)


def test_text_that_is_a_written_conversation_is_refused(reward_folder: Callable[..., Path]) -> None:
    written = json.dumps(conversation("w5"))
    with pytest.raises(DataError, match=r"row 1: prompt is a list of messages written as JSON; .*json\.loads"):
        reward_function(str(reward_folder(True)))(["w5", written], [" w6", " w6"])
    with pytest.raises(DataError, match="row 0: completion is a list of messages written as text that is not JSON"):
        reward_function(str(reward_folder(True, name="other")))(["w5"], [str(conversation("w6"))])


def test_rows_of_a_prompt_share_what_they_have_in_common() -> None:
    rows = [[1, 2, 3, 4], [9, 9], [1, 2, 3], [1, 2, 5]]
    (first, answers), (second, other) = share_prompts(rows, ["p", "q", "p", "p"], 64)
    assert (first, second) == ([0, 2, 3], [1])
    assert answers["prompt_ids"] == [1, 2] and answers["candidate_ids"] == [[3, 4], [3], [5]]
    assert other["prompt_ids"] == [9] and other["candidate_ids"] == [[9]]
    assert [indices for indices, _ in share_prompts(rows, ["p", "q", "p", "p"], 2)] == [[0, 2], [3], [1]]


def test_shared_prefixes_feed_the_prompt_once(reward_folder: Callable[..., Path]) -> None:
    reward = reward_function(str(reward_folder()))
    seen: list[int] = []
    reward.scorer.loaded.model.get_input_embeddings().register_forward_hook(
        lambda _module, inputs, _output: seen.append(inputs[0].numel())
    )
    reward(["w5 w6 w7 w8"] * 4, [" w9", " w10", " w11", " w12"])
    # Four tokens of the prompt, then a word and the end for each answer; four rows of six would be 24.
    assert seen == [12]


def test_over_long_rows_are_cut_counted_and_told_once(
    reward_folder: Callable[..., Path], by_hand: Callable[..., float], caplog: pytest.LogCaptureFixture
) -> None:
    folder, text = reward_folder(), " ".join(WORDS[:20])
    reward = reward_function(str(folder), max_length=8)
    with caplog.at_level(logging.WARNING):
        (found,) = reward([text], [" w9"])
        reward([text, "w1"], [" w9", " w9"])
    # The left of the prompt goes; the answer and its end stay.
    assert found == pytest.approx(by_hand(folder, f"{' '.join(WORDS[14:20])} w9<eos>"), abs=1e-5)
    assert (reward.n_scored, reward.n_cut) == (3, 2)
    assert [r.getMessage() for r in caplog.records if "cut" in r.getMessage()] == [
        "reward: 1 of 1 prompts with completions exceed 8 tokens and were cut; counted in n_cut"
    ]


def test_an_empty_completion_is_an_ended_prompt(
    reward_folder: Callable[..., Path], by_hand: Callable[..., float], caplog: pytest.LogCaptureFixture
) -> None:
    folder = reward_folder(True)
    reward = reward_function(str(folder))
    with caplog.at_level(logging.WARNING):
        assert reward(["w7", "w7"], ["", " w8"])[0] == pytest.approx(by_hand(folder, "w7<eos>"), abs=1e-5)
        silent = reward([conversation("w7")], [conversation("", "assistant")])[0]
    assert silent == pytest.approx(by_hand(folder, "w3 w7 <eos>w4  <eos>"), abs=1e-5)
    assert reward.n_empty == 2
    assert sum("empty" in record.getMessage() for record in caplog.records) == 1
    assert reward([], []) == []


def test_training_length_and_precision_come_from_the_folder(reward_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = reward_folder(name="student-0123456789ab/model")
    write_facts(folder, ScoringFacts("text", "reward", 77, False))
    loaded = load_reward_model(str(folder))
    assert (loaded.name, loaded.max_length, loaded.bf16) == ("student-0123456789ab", 77, False)
    moved = folder.rename(tmp_path / "moved")
    loaded = load_reward_model(str(moved))
    assert (loaded.name, loaded.max_length, loaded.bf16, loaded.trained_on) == ("moved", 77, False, "text")
    (moved / FILE).unlink()
    loaded = load_reward_model(str(moved))
    assert (loaded.max_length, loaded.bf16) == (256, None), "what the model and its tokenizer take"


def test_bf16_changes_the_scores_a_little(reward_folder: Callable[..., Path]) -> None:
    folder = str(reward_folder())
    exact, rounded = (reward_function(folder, bf16=bf16)(["w5 w6"], [" w7"])[0] for bf16 in (False, True))
    assert 0 < abs(exact - rounded) < 0.05


def test_under_zero_3_the_model_is_whole(reward_folder: Callable[..., Path]) -> None:
    folder = str(reward_folder())
    expected = reward_function(folder)(["w5"], [" w6"])
    config = HfDeepSpeedConfig({"zero_optimization": {"stage": 3}, "train_micro_batch_size_per_gpu": 1})
    assert is_deepspeed_zero3_enabled() and config.is_zero3()
    reward = reward_function(folder)
    assert is_deepspeed_zero3_enabled(), "the trainer's own models are sharded as before"
    assert all(parameter.numel() for parameter in reward.scorer.loaded.model.parameters())
    assert reward(["w5"], [" w6"]) == expected
    del config


def save(folder: Path, *, labels: int = 1, pad: bool = True, keep_head: bool = True, nan: bool = False) -> str:
    """Save a folder again with something wrong in it."""
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=labels, ignore_mismatched_sizes=True
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not pad:
        tokenizer.pad_token, model.config.pad_token_id = None, None
    if nan:
        model.score.weight.data[:] = torch.nan
    state = {name: value for name, value in model.state_dict().items() if keep_head or not name.startswith("score")}
    model.save_pretrained(folder, state_dict=state)
    tokenizer.save_pretrained(folder)
    return str(folder)


def remove(folder: Path, pattern: str) -> str:
    for path in folder.glob(pattern):
        path.unlink()
    return str(folder)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda folder: remove(folder, "*"), "incomplete(.|\n)*no config.json(.|\n)*safetensors(.|\n)*no tokenizer"),
        (lambda folder: remove(folder, "tokenizer*"), "incomplete(.|\n)*no tokenizer"),
        (lambda folder: remove(folder, "*.safetensors"), "incomplete(.|\n)*weights"),
        (lambda folder: save(folder, labels=3), "has 3 outputs"),
        (lambda folder: save(folder, pad=False), "no pad token; set tokenizer.pad_token"),
        (lambda folder: save(folder, keep_head=False), "no weights for score.weight, so its rewards would be random"),
        (lambda folder: f"{folder}/nowhere", "no such folder, and no hub id"),
    ],
)
def test_a_folder_that_holds_no_reward_model(
    spoil: Callable[[Path], str], text: str, reward_folder: Callable[..., Path]
) -> None:
    name = spoil(reward_folder())
    with pytest.raises(ConfigError, match=text) as caught:
        reward_function(name)
    assert name in str(caught.value)


def test_other_folders_say_what_to_give_instead(reward_folder: Callable[..., Path], policy_folder: Path) -> None:
    with pytest.raises(ConfigError, match="LlamaForCausalLM, no reward model"):
        reward_function(str(policy_folder))
    model = reward_folder(name="student-0123456789ab/model")
    with pytest.raises(ConfigError, match=f"give the model in it, {model}"):
        reward_function(str(model.parent))
    (model.parent / "adapter_config.json").touch()
    (model / "config.json").unlink()
    with pytest.raises(ConfigError, match="it is an adapter: merge it"):
        reward_function(str(model.parent))
    index = '{"weight_map": {"score.weight": "model-00002-of-00002.safetensors"}}'
    (model / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    with pytest.raises(ConfigError, match="no model-00002-of-00002.safetensors, which model.safetensors.index.json"):
        reward_function(str(model))


def test_a_pad_token_that_model_and_tokenizer_disagree_on(reward_folder: Callable[..., Path]) -> None:
    folder = reward_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = "<eos>"
    tokenizer.save_pretrained(folder)
    with pytest.raises(ConfigError, match="pad token 0 in its config, 1 in its tokenizer"):
        reward_function(str(folder))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_length": 4}, "max_length is 4 tokens"),
    ],
)
def test_bad_options(options: dict[str, int], text: str, reward_folder: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=text):
        reward_function(str(reward_folder()), **options)(["w1"], [" w2"])


def test_more_tokens_than_the_model_has_positions(reward_folder: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="rows have up to 300 tokens, and the model has learned 256 positions"):
        reward_function(str(reward_folder(False, "bert")), max_length=300)


USER, ANSWER = [{"role": "user", "content": "w5"}], [{"role": "assistant", "content": "w6"}]


@pytest.mark.parametrize(
    ("prompts", "completions", "text"),
    [
        ("w1", ["w2"], "takes lists of prompts and completions, but prompts is str"),
        (["w1"], None, "completions is NoneType"),
        (["w1", "w2"], ["w3"], "2 prompts and 1 completions"),
        (["w1", "w2"], [" w3", None], "row 1: completion is None, neither text nor messages"),
        ([USER, "w1"], [ANSWER, ANSWER], "row 1: prompt is text, completion is a conversation"),
        ([USER], ["w1"], "row 0: prompt is a conversation, completion is text"),
        ([ANSWER], [USER], "row 0: completion begins with the role 'user'; are prompts and completions mixed up"),
        ([USER], [[]], "row 0: completion has no message"),
        ([USER, "w1"], [ANSWER, " w2"], "rows 1 are text, the others conversations"),
        ([[{"content": "w5"}]], [ANSWER], "row 0: prompt is .*neither text nor messages"),
        (["", "w1"], ["", " w2"], None),
    ],
)
def test_bad_columns(prompts: Any, completions: Any, text: str | None, reward_folder: Callable[..., Path]) -> None:
    reward = reward_function(str(reward_folder(True)))
    if text is None:
        assert len(reward(prompts, completions)) == 2, "the end alone can be scored"
        return
    with pytest.raises(DataError, match=text):
        reward(prompts=prompts, completions=completions, completion_ids=None, trainer_state=None)


def test_nothing_to_score(reward_folder: Callable[..., Path]) -> None:
    folder = reward_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(DataError, match="no token in row 1"):
        reward_function(str(folder))(["w1", ""], [" w2", ""])


def test_conversations_without_a_template(reward_folder: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="has no chat template: it was trained on plain text; give the policy plain"):
        reward_function(str(reward_folder()))([USER], [ANSWER])


def test_a_template_that_refuses(reward_folder: Callable[..., Path]) -> None:
    strict = (
        "{% if messages|length > 2 %}{{ raise_exception('only two messages') }}{% endif %}"
        "{% for m in messages %}{{ m.content }} {% endfor %}"
    )
    reward = reward_function(str(reward_folder(strict)))
    refused = r"row 1: the template refuses the roles user, assistant, assistant: only two messages"
    with pytest.raises(DataError, match=refused):
        reward([USER, [*USER, *ANSWER]], [ANSWER, ANSWER])


def test_text_rendered_with_another_template(reward_folder: Callable[..., Path], policy_folder: Path) -> None:
    policy = AutoTokenizer.from_pretrained(policy_folder)
    rendered = policy.apply_chat_template(USER, tokenize=False, add_generation_prompt=True)
    reward = reward_function(str(reward_folder(True)))
    with pytest.raises(
        ConfigError, match=r"chat markup \(<\|im_end\|>, <\|im_start\|>\).* in row 1: they look rendered"
    ):
        reward(["w1", rendered], [" w2", " w2"])
    # The reward model's own markup is as it was in training, also where its template puts it together from roles.
    own = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + eos_token }}{% endfor %}"
    assert reward_function(str(reward_folder(own, name="own")))(["<|user|>w1<eos><|assistant|>"], ["w2"])
    # Without a template it may have been trained on any text.
    assert reward_function(str(reward_folder(False, name="bare")))([rendered], [" w2"])


def test_nan_stops_the_run(reward_folder: Callable[..., Path]) -> None:
    folder = save(reward_folder(), nan=True)
    with pytest.raises(NonFiniteError, match=r"infinite reward for 2 of 2(.|\n)*row 0 \(prompt 'w1'\)\n  - row 1"):
        reward_function(folder)(["w1", "w2"], [" w3", " w4"])
    example = Example("e7", "g", "w1", (" w2", " w3"), None)
    with pytest.raises(NonFiniteError, match="example 'e7'"):
        Scorer(load_reward_model(folder)).score_examples([example])


def test_examples_of_two_kinds(reward_folder: Callable[..., Path]) -> None:
    scorer = Scorer(load_reward_model(str(reward_folder(True))))
    text = Example("a", "g", "w1", (" w2", " w3"), None)
    spoken = Example("b", "g", tuple(USER), (tuple(ANSWER), ({"role": "assistant", "content": "w7"},)), None)
    with pytest.raises(DataError, match="some examples are text and some conversations"):
        scorer.score_examples([text, spoken])
    assert scorer.score_examples([]) == []
