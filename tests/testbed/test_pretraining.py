"""Pretraining: a plain folder, the same each time, of a model that has learnt what its corpus tells."""

import hashlib
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from w2s_rm.errors import ConfigError
from w2s_rm.testbed.pretraining import Pretraining, pretrain

SMALL = Pretraining(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, steps=250, batch_size=128, n_entities=6, n_attributes=1
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "made" / "here"
    return folder, pretrain(SMALL, folder, progress=False)


def test_learns_the_facts(made):
    figures = made[1]
    assert set(figures) == {"loss", "accuracy_answers", "accuracy_judgements", "known", "parameters", "seconds"}
    assert figures["accuracy_answers"] > 0.95 and figures["accuracy_judgements"] > 0.95
    assert figures["known"] == pytest.approx(2 * figures["accuracy_judgements"] - 1)


def test_writes_a_plain_folder(made):
    folder = made[0]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.num_parameters() == made[1]["parameters"]
    ids = tokenizer("which is up_size , E0 or E1 ?", return_tensors="pt")["input_ids"]
    answer = model(input_ids=ids).logits[0, -1].argmax()
    truth = SMALL.corpus.world.ranks_AE[0]
    assert tokenizer.decode(answer) == f"E{truth[:2].argmax()}"


def test_serves_as_a_reward_model_under_padding(made):
    tokenizer = AutoTokenizer.from_pretrained(made[0])
    model = AutoModelForSequenceClassification.from_pretrained(made[0], num_labels=1)
    texts = ["which is up_size , E0 or E1 ? E0<eos>", "which is up_size , E0 or E1 ?<eos>"]
    padded = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits[1]
    alone = model(**tokenizer(texts[1:], return_tensors="pt")).logits[0]
    assert torch.allclose(padded, alone, atol=1e-5)


def test_a_new_score_head_starts_near_zero(made):
    model = AutoModelForSequenceClassification.from_pretrained(made[0], num_labels=1)
    assert 0.0005 < model.score.weight.std() < 0.002


def test_tokenizer_is_one_token_a_word_and_keeps_unknown_words(made):
    tokenizer = AutoTokenizer.from_pretrained(made[0])
    assert tokenizer.tokenize("which is E5 Zorro ? E1<eos>") == ["which", "is", "E5", "<unk>", "?", "E1", "<eos>"]
    assert (tokenizer.pad_token, tokenizer.eos_token, tokenizer.unk_token) == ("<pad>", "<eos>", "<unk>")
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    world = SMALL.corpus.world
    assert tokenizer.convert_ids_to_tokens(list(range(len(world.words)))) == list(world.words)


def digest(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_same_options_same_weights(tmp_path):
    short = replace(SMALL, steps=3)
    for name, config in {"one": short, "two": short, "other": replace(short, seed=1)}.items():
        torch.manual_seed(len(name))
        pretrain(config, tmp_path / name, progress=False)
    assert digest(tmp_path / "one") == digest(tmp_path / "two") != digest(tmp_path / "other")


def test_unknown_facts_stay_unknown(tmp_path):
    figures = pretrain(replace(SMALL, facts_known=0.0), tmp_path, progress=False)
    assert figures["accuracy_judgements"] < 0.85


def test_options_survive_a_dictionary():
    assert Pretraining(**asdict(SMALL)) == SMALL


def test_all_wrong_options_are_named():
    with pytest.raises(ConfigError, match=r"(?s)steps is 0: .*batch_size is -1: .*learning_rate is 0"):
        Pretraining(steps=0, batch_size=-1, learning_rate=0)
    with pytest.raises(ConfigError, match="hidden_size is 30: set a multiple of twice num_attention_heads"):
        Pretraining(hidden_size=30)
    with pytest.raises(ConfigError, match="facts_known is 2"):
        Pretraining(facts_known=2)


def test_options_load_without_torch():
    code = "import sys, w2s_rm.testbed.pretraining as p; p.Pretraining(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
