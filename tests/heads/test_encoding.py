"""Prompt and candidates to tokens: TRL's own tokens when nothing is cut, and what is kept when something is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from trl import RewardConfig, RewardTrainer

from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.heads import HEADS
from w2s_rm.heads.encoding import encode_batch, encode_prompts, render_batch
from w2s_rm.heads.template_date import with_fixed_date, writes_date
from w2s_rm.types import Encoded, Example

TEMPLATE = "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} <eos> {% endfor %}"
SPECIALS = ["<pad>", "<unk>", "<bos>", "<eos>", "[CLS]", "[SEP]", "<user>", "<assistant>", "<nl>"]


def words(text: str) -> list[str]:
    """Write tokens of the word-level tokenizers as their words: easier to read than numbers."""
    return text.split()


def build(template: str | None = None, **special: str) -> PreTrainedTokenizerFast:
    """Build a word-level tokenizer over a to z; `template` adds special tokens as in `<bos> $A`."""
    vocabulary = {word: index for index, word in enumerate([*SPECIALS, *"abcdefghijklmnopqrstuvwxyz"])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if template is not None:
        used = [(word, vocabulary[word]) for word in template.split() if word != "$A"]
        inner.post_processor = processors.TemplateProcessing(single=template, special_tokens=used)
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", **special)


def decoded(tokenizer: Any, encoded: Encoded) -> tuple[list[str], list[list[str]]]:
    convert = tokenizer.convert_ids_to_tokens
    return convert(encoded.prompt_ids), [convert(ids) for ids in encoded.candidate_ids]


@pytest.fixture(scope="session")
def merging_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer in which `ab` is one token, so that a candidate can change the prompt's last token."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<eos>"])
    inner.train_from_iterator(["ab ab ab the the then abc"] * 20, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<eos>")
    assert len(tokenizer("ab")["input_ids"]) == 1
    return tokenizer


TEXTS = [
    {"prompt": "w1 w2 w3", "chosen": " w4 w5", "rejected": " w6"},
    {"prompt": "", "chosen": "w4", "rejected": "w4 w5"},
    {"prompt": "w1", "chosen": " w2 w3 w4", "rejected": " w2 w3 w5"},
    {"prompt": "w9 <eos> w9", "chosen": " w2<eos>", "rejected": " w7"},
]


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def conversation(row: dict[str, str], explicit: bool) -> dict[str, Any]:
    prompt = [said("user", row["prompt"])]
    chosen, rejected = ([said("assistant", row[name])] for name in ("chosen", "rejected"))
    if explicit:
        return {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    return {"chosen": prompt + chosen, "rejected": prompt + rejected}


FORMATS: dict[str, list[dict[str, Any]]] = {
    "text, explicit prompt": TEXTS,
    "text, implicit prompt": [{name: row["prompt"] + row[name] for name in ("chosen", "rejected")} for row in TEXTS],
    "conversation, explicit prompt": [conversation(row, explicit=True) for row in TEXTS],
    "conversation, implicit prompt": [conversation(row, explicit=False) for row in TEXTS],
    "conversation with tools": [
        {**conversation(row, explicit=True), "tools": '[{"name": "w9"}]', "chat_template_kwargs": {"mood": "w8"}}
        for row in TEXTS
    ],
}


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("kind", ["words", "merging"])
def test_rows_are_those_of_trl_to_the_last_token(
    name: str,
    kind: str,
    tiny_model: Callable[..., str],
    tiny_tokenizer: Callable[..., Any],
    merging_tokenizer: Any,
    tmp_path: Path,
) -> None:
    tokenizer = tiny_tokenizer() if kind == "words" else merging_tokenizer
    tokenizer.chat_template = "{{ mood }} {% for t in tools or [] %}{{ t['name'] }} {% endfor %}" + TEMPLATE
    data = datasets.Dataset.from_list(FORMATS[name])
    common: dict[str, Any] = {"max_length": None, "report_to": "none", "use_cpu": True, "bf16": False}
    arguments = {"model": tiny_model(), "train_dataset": data, "processing_class": tokenizer}
    theirs = RewardTrainer(args=RewardConfig(str(tmp_path), **common), **arguments).train_dataset
    ours = W2SRewardTrainer(args=W2SRewardConfig(str(tmp_path), **common), **arguments).train_dataset
    assert len(ours) == len(theirs) == len(TEXTS)
    for row, expected in zip(ours, theirs, strict=True):
        rows = [row["prompt_ids"] + ids for ids in row["candidate_ids"]]
        assert rows == [expected["chosen_ids"], expected["rejected_ids"]]
        assert all(row["candidate_ids"])


def test_a_token_over_the_end_of_the_prompt_belongs_to_the_candidates(merging_tokenizer: Any) -> None:
    # "the a" + "b" ends in the one token " ab", which "the a" alone does not have.
    (encoded,) = encode_batch(merging_tokenizer, ["the a"], [("b", " c")], None)
    assert decoded(merging_tokenizer, encoded) == (["the"], [["Ġab", "<eos>"], ["Ġ", "a", "Ġ", "c", "<eos>"]])


def test_a_shared_beginning_of_the_candidates_stays_with_them() -> None:
    tokenizer = build(eos_token="<eos>")
    (encoded,) = encode_batch(tokenizer, ["a b"], [(" c d e", " c d f", " c d")], None)
    ends = ["c d e <eos>", "c d f <eos>", "c d <eos>"]
    assert decoded(tokenizer, encoded) == (words("a b"), [words(end) for end in ends])


@pytest.mark.parametrize("prompt", ["", ()])
def test_without_a_prompt_the_shared_beginning_is_the_prompt(prompt: Any) -> None:
    tokenizer = build("<bos> $A", eos_token="<eos>", bos_token="<bos>")
    tokenizer.chat_template = TEMPLATE
    if prompt == "":
        (encoded,) = encode_batch(tokenizer, [prompt], [("a b c", "a b d e")], None)
        assert decoded(tokenizer, encoded) == (words("<bos> a b"), [words("c <eos>"), words("d e <eos>")])
        return
    turns = [(said("user", "a b"), said("assistant", end)) for end in ("c", "d e")]
    (encoded,) = encode_batch(tokenizer, [prompt], [turns], None)
    shared = words("<user> a b <eos> <assistant>")
    assert decoded(tokenizer, encoded) == (shared, [words("c <eos>"), words("d e <eos>")])


def test_a_candidate_that_is_a_prefix_of_another_keeps_a_token_without_any_closing_token() -> None:
    tokenizer = build()
    (encoded,) = encode_batch(tokenizer, [""], [("a b", "a b c")], None)
    assert decoded(tokenizer, encoded) == (["a"], [["b"], ["b", "c"]])


def test_bert_style_rows_open_and_close_with_special_tokens_also_when_cut() -> None:
    tokenizer = build("[CLS] $A [SEP]", cls_token="[CLS]", sep_token="[SEP]")
    assert tokenizer.eos_token is None
    (whole,) = encode_batch(tokenizer, ["a b"], [(" c", " c d")], None)
    assert decoded(tokenizer, whole) == (words("[CLS] a b"), [words("c [SEP]"), words("c d [SEP]")])
    long = " ".join("abcdefghij")
    (cut,) = encode_batch(tokenizer, [long], [(" " + long + " k", " z")], 10)
    # Half of 10 for the longest candidate, the rest for the prompt; "z [SEP]" is short enough as it is.
    assert decoded(tokenizer, cut) == (words("[CLS] g h i j"), [words("a b c d [SEP]"), words("z [SEP]")])
    assert (cut.cut_prompt_tokens, cut.cut_candidate_tokens) == (6, 7)


def test_opening_and_closing_tokens_stay_and_cuts_are_counted() -> None:
    tokenizer = build("<bos> $A", bos_token="<bos>", eos_token="<eos>")
    # Prompt 1 + 6 tokens, candidates 6 and 2: a row of 13 for 10 tokens, so the candidates have max(10 - 7, 5) = 5.
    (encoded,) = encode_batch(tokenizer, ["a b c d e f"], [(" g h i j k", " l")], 10)
    assert decoded(tokenizer, encoded) == (words("<bos> c d e f"), [words("g h i j <eos>"), words("l <eos>")])
    assert (encoded.cut_prompt_tokens, encoded.cut_candidate_tokens) == (2, 1)


def test_a_short_prompt_leaves_its_room_to_the_candidates_and_a_short_candidate_to_the_prompt() -> None:
    tokenizer = build(eos_token="<eos>")
    (short_prompt,) = encode_batch(tokenizer, ["a"], [(" b c d e f g h i j k", " b")], 8)
    assert decoded(tokenizer, short_prompt) == (["a"], [words("b c d e f g <eos>"), words("b <eos>")])
    assert (short_prompt.cut_prompt_tokens, short_prompt.cut_candidate_tokens) == (0, 4)
    (short_candidate,) = encode_batch(tokenizer, ["a b c d e f g h i j"], [(" k", " l")], 8)
    assert decoded(tokenizer, short_candidate) == (words("e f g h i j"), [words("k <eos>"), words("l <eos>")])
    assert (short_candidate.cut_prompt_tokens, short_candidate.cut_candidate_tokens) == (4, 0)


def test_a_line_break_after_the_closing_token_stays_too() -> None:
    tokenizer = build(eos_token="<eos>")
    tokenizer.chat_template = TEMPLATE.replace("<eos> ", "<eos> <nl> ")
    prompt = (said("user", "a"),)
    candidates = [(said("assistant", "b c d e f g h"),), (said("assistant", "z"),)]
    (encoded,) = encode_batch(tokenizer, [prompt], [candidates], 10)
    # The prompt "<user> a <eos> <nl>" has 4 tokens, so the candidates have 6 of their 10.
    ends = [words("<assistant> b c d <eos> <nl>"), words("<assistant> z <eos> <nl>")]
    assert decoded(tokenizer, encoded) == (words("<user> a <eos> <nl>"), ends)


@pytest.mark.parametrize("max_length", [8, 9, 13, 30, None])
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_nothing_is_dropped_and_no_row_is_too_long(count: int, max_length: int | None) -> None:
    tokenizer = build("<bos> $A", bos_token="<bos>", eos_token="<eos>")
    letters = "abcdefghijklmnopqrstuvwxyz"
    prompts = [" ".join(letters[:length]) for length in range(0, 26, 3)]
    candidates = [[" " + " ".join(letters[k : k + 1 + 4 * k]) for k in range(count)] for _ in prompts]
    encoded = encode_batch(tokenizer, prompts, candidates, max_length)
    whole = encode_batch(tokenizer, prompts, candidates, None)
    assert len(encoded) == len(prompts)
    for example, full in zip(encoded, whole, strict=True):
        assert len(example.candidate_ids) == count
        assert example.prompt_ids[0] == tokenizer.bos_token_id
        assert all(ids and ids[-1] == tokenizer.eos_token_id for ids in example.candidate_ids)
        longest = max(len(example.prompt_ids) + len(ids) for ids in example.candidate_ids)
        assert max_length is None or longest <= max_length
        kept = len(example.prompt_ids) + sum(map(len, example.candidate_ids))
        cut = example.cut_prompt_tokens + example.cut_candidate_tokens
        assert kept + cut == len(full.prompt_ids) + sum(map(len, full.candidate_ids))
        if cut == 0:
            assert example == full


def test_each_example_is_encoded_as_if_it_were_alone() -> None:
    tokenizer = build("<bos> $A", bos_token="<bos>", eos_token="<eos>")
    prompts = ["a b", "", "c"]
    candidates = [(" d", " e", " f"), ("g", "h i"), (" j k", " l", " m", " n")]
    together = encode_batch(tokenizer, prompts, candidates, 8)
    alone = [encode_batch(tokenizer, [p], [c], 8)[0] for p, c in zip(prompts, candidates, strict=True)]
    assert together == alone
    assert encode_batch(tokenizer, [], [], 8) == []


def test_a_max_length_without_room_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_length is 7 tokens; use at least 8"):
        encode_batch(build(eos_token="<eos>"), ["a"], [(" b", " c")], 7)


def test_conversations_need_a_chat_template() -> None:
    with pytest.raises(ConfigError, match="no chat template; set chat_template_path"):
        encode_batch(build(eos_token="<eos>"), [(said("user", "a"),)], [[(said("assistant", "b"),)] * 2], None)


def test_without_an_end_candidates_stop_at_their_last_word() -> None:
    tokenizer = build("<bos> $A", bos_token="<bos>", eos_token="<eos>")
    (encoded,) = encode_batch(tokenizer, ["a b"], [(" c", " c d", " c d e")], None, end=False)
    assert decoded(tokenizer, encoded) == (words("<bos> a b"), [["c"], words("c d"), words("c d e")])


def test_prompts_alone_end_where_the_text_ends_and_lose_their_left() -> None:
    tokenizer = build("<bos> $A", bos_token="<bos>", eos_token="<eos>")
    short, long = encode_prompts(tokenizer, ["a b", " ".join("abcdefghij")], [2, 3], 8)
    assert decoded(tokenizer, short) == (words("<bos> a b"), [[], []])
    assert decoded(tokenizer, long) == (words("<bos> d e f g h i j"), [[], [], []])
    assert (short.cut_prompt_tokens, long.cut_prompt_tokens, long.cut_candidate_tokens) == (0, 3, 0)
    (whole,) = encode_prompts(tokenizer, [" ".join("abcdefghij")], [2], None)
    assert len(whole.prompt_ids) == 11 and encode_prompts(tokenizer, [], [], 8) == []


def test_prompts_alone_of_bert_keep_both_special_tokens() -> None:
    tokenizer = build("[CLS] $A [SEP]", cls_token="[CLS]", sep_token="[SEP]")
    (encoded,) = encode_prompts(tokenizer, [" ".join("abcdefghij")], [2], 8)
    assert decoded(tokenizer, encoded)[0] == words("[CLS] e f g h i j [SEP]")


def test_prompts_alone_may_be_conversations() -> None:
    tokenizer = build("<bos> $A", bos_token="<bos>", eos_token="<eos>")
    tokenizer.chat_template = TEMPLATE
    # The template says which special tokens there are: no other <bos> before it.
    (encoded,) = encode_prompts(tokenizer, [(said("user", "a b"),)], [2], None)
    assert decoded(tokenizer, encoded)[0] == words("<user> a b <eos>")
    with pytest.raises(ConfigError, match="max_length is 7"):
        encode_prompts(tokenizer, ["a"], [2], 7)


KNOWS_TWO_ROLES = (
    "{% for m in messages %}{% if m['role'] in ('user', 'assistant') %}"
    "<{{ m['role'] }}> {{ m['content'] }} <eos> {% endif %}{% endfor %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + (
    TEMPLATE
)


def messages(*turns: str) -> list[dict[str, str]]:
    """Messages from `role: content`."""
    return [{"role": turn.split(": ")[0], "content": turn.split(": ")[1]} for turn in turns]


def conversation(id: str, prompt: list[dict[str, str]], *answers: list[dict[str, str]]) -> Example:
    return Example(id, id, tuple(prompt), tuple(map(tuple, answers)), 0)


def test_a_message_that_the_template_leaves_out_is_an_error() -> None:
    tokenizer = build(eos_token="<eos>")
    tokenizer.chat_template = KNOWS_TWO_ROLES
    wrong = conversation("x7", messages("human: a b"), messages("gpt: c"), messages("gpt: d"))
    right = conversation("x8", messages("user: a b"), messages("assistant: c"), messages("assistant: d"))
    with pytest.raises(DataError) as error:
        HEADS["reward"].encode(tokenizer, [wrong, right, wrong], 64)
    assert str(error.value).count("example 'x7': the template leaves out what is said by role 'human', role 'gpt'") == 2
    assert "x8" not in str(error.value) and "chat_template_path" in str(error.value)
    assert len(HEADS["reward"].encode(tokenizer, [right], 64)) == 1


@pytest.mark.parametrize("prompt", [["human: ok", "user: ok"], ["human: user", "user: a"], ["user: a b", "human: b"]])
def test_a_short_message_is_not_taken_for_a_part_of_another(prompt: list[str]) -> None:
    tokenizer = build(eos_token="<eos>")
    tokenizer.chat_template = KNOWS_TWO_ROLES
    wrong = conversation("x7", messages(*prompt), messages("assistant: c"), messages("assistant: d"))
    with pytest.raises(DataError, match="'x7': the template leaves out what is said by role 'human'"):
        HEADS["reward"].encode(tokenizer, [wrong], 64)


def test_messages_in_another_order_or_in_parts_are_looked_for() -> None:
    tokenizer = build(eos_token="<eos>")
    tokenizer.chat_template = (
        "{% for m in messages if m['role'] == 'system' %}{{ m['content'] }} {% endfor %}"
        "{% for m in messages if m['role'] != 'system' %}<{{ m['role'] }}> "
        "{% if m['content'] is string %}{{ m['content'] }}{% else %}{{ m['content'][0]['text'] }}{% endif %} "
        "<eos> {% endfor %}"
    )
    late = messages("user: a", "system: b")
    assert len(encode_batch(tokenizer, [late], [[messages("assistant: c"), messages("assistant: d")]], None)) == 1
    parts = [{"role": "user", "content": [{"type": "text", "text": text} for text in ("a", "<user>")]}]
    one = [{"role": "user", "content": parts[0]["content"][:1]}]
    answers = [messages("assistant: c"), messages("assistant: d")]
    assert len(encode_batch(tokenizer, [one], [answers], None)) == 1
    with pytest.raises(DataError, match="leaves out what is said by role 'user'"):
        encode_batch(tokenizer, [parts], [answers], None)


def test_what_a_template_drops_or_escapes_on_purpose_is_no_error() -> None:
    tokenizer = build(eos_token="<eos>")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['content'].split('</think>')[-1] | trim | tojson }} <eos> {% endfor %}"
    )
    thought = messages("user:  a ", "assistant: b</think> c")
    encoded = encode_batch(tokenizer, [thought], [[messages('user: d"e'), messages("user: f\nf")]], None)
    assert len(encoded[0].candidate_ids) == 2


def test_a_template_that_refuses_names_examples_roles_and_its_own_words() -> None:
    tokenizer = build(eos_token="<eos>")
    tokenizer.chat_template = NO_SYSTEM
    wrong = conversation("x7", messages("system: a", "user: b"), messages("assistant: c"), messages("assistant: d"))
    with pytest.raises(DataError, match="'x7': .* roles system, user, assistant: System role not supported"):
        HEADS["reward"].encode(tokenizer, [wrong], 64)


def test_a_prompt_that_a_template_refuses_by_itself() -> None:
    """What the rows share is the prompt then, as where the prompt is implicit."""
    tokenizer = build(eos_token="<eos>")
    tokenizer.chat_template = "{% if messages|length < 2 %}{{ raise_exception('too short') }}{% endif %}" + TEMPLATE
    example = conversation("x", messages("user: a"), messages("assistant: c"), messages("assistant: d"))
    (encoded,) = HEADS["reward"].encode(tokenizer, [example], 64)
    assert decoded(tokenizer, encoded) == (words("<user> a <eos> <assistant>"), [words("c <eos>"), words("d <eos>")])


def test_conversations_that_a_template_writes_alike_are_an_error() -> None:
    """They differ in their roles only, which this template does not write."""
    tokenizer = build(eos_token="<eos>")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} <eos> {% endfor %}"
    alike = conversation("x7", messages("user: a"), messages("assistant: c"), messages("tool: c"))
    with pytest.raises(DataError, match="'x7': candidates 1 and 2 are rendered alike"):
        HEADS["reward"].encode(tokenizer, [alike], 64)


def test_the_head_lm_counts_no_eos_that_the_tokenizer_appends() -> None:
    example = Example("x", "x", "a b", (" c", " d e"), 0)
    plain, appending = build(eos_token="<eos>"), build("$A <eos>", eos_token="<eos>")
    (expected,), (found,) = (HEADS["lm"].encode(tokenizer, [example], 64) for tokenizer in (plain, appending))
    assert decoded(appending, found) == decoded(plain, expected) == (words("a b"), [words("c"), words("d e")])


DATED = (
    "\n{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ date_string }}|{{ strftime_now(\"%Y\") }}|{{ strftime_now('%B %d') }} "
)


def test_a_template_that_writes_the_date_always_writes_the_same() -> None:
    tokenizer = build(eos_token="<eos>")
    tokenizer.chat_template = DATED + TEMPLATE
    assert writes_date(tokenizer.chat_template) and not writes_date(TEMPLATE) and with_fixed_date(TEMPLATE) == TEMPLATE
    (_, text, _) = render_batch(
        tokenizer, [messages("user: a")], [[messages("assistant: b"), messages("assistant: c")]]
    )
    assert text.startswith("\n26 Jul 2024|2024|July 26 <user> a")
    # But for the date it is what the template writes by itself, white space included.
    own = tokenizer.apply_chat_template(messages("user: a", "assistant: b"), tokenize=False)
    assert own.startswith("\n") and text.split(" <user>")[1] == own.split(" <user>")[1]
    given = render_batch(tokenizer, [messages("user: a")], [[messages("assistant: b")]], [{"date_string": "today"}])
    assert given[1].startswith("\ntoday|2024")


def test_a_second_beginning_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = build("<bos> $A", eos_token="<eos>", bos_token="<bos>")
    tokenizer.name_or_path = "begins-twice"
    encode_batch(tokenizer, ["a"], [[" b", " c"]], None)
    assert not caplog.records
    for _ in range(2):
        encode_batch(tokenizer, ["<bos> a"], [[" b", " c"]], None)
    assert [record.getMessage().startswith("texts begin with <bos>") for record in caplog.records] == [True]


@pytest.mark.parametrize("way", [encode_batch, encode_prompts])
def test_a_tokenizer_to_which_all_texts_are_nothing_is_refused(
    way: Callable[..., list[Encoded]], tiny_model: Callable[..., str]
) -> None:
    # Its folder has a vocabulary of words, and transformers takes the class of Qwen2's for it.
    tokenizer = AutoTokenizer.from_pretrained(tiny_model("qwen2"))
    candidates: Any = [["w3", "w4"]] * 2 if way is encode_batch else [2, 2]
    with pytest.raises(ConfigError, match=r"\(Qwen2Tokenizer\) makes no tokens of any text, such as 'w1 w2'"):
        way(tokenizer, ["w1 w2", "w5"], candidates, None)


def test_texts_of_which_some_are_nothing_and_empty_ones_are_read() -> None:
    tokenizer = build(eos_token="<eos>")
    encoded = encode_batch(tokenizer, ["", "a"], [["", "b"], ["<eos>", "c"]], None)
    assert [len(row.candidate_ids) for row in encoded] == [2, 2]
    assert len(encode_batch(tokenizer, [""], [["", ""]], None)) == 1
    # Unknown words are read as such.
    assert len(encode_batch(tokenizer, ["unknown"], [["words", "too"]], None)) == 1
