"""Pretraining: a plain folder, the same each time, of a model that has learnt what its corpus tells."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from w2s_rm.corpora.facts import Facts
from w2s_rm.errors import ConfigError
from w2s_rm.options import build_options
from w2s_rm.training import language_model
from w2s_rm.training.language_model import pretrain
from w2s_rm.training.pretraining import Pretraining

FACTS = {"name": "facts", "n_entities": 6, "n_attributes": 1}
SMALL = Pretraining(FACTS, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, steps=250, batch_size=128)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "made" / "here"
    return folder, pretrain(SMALL, folder)


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
    truth = SMALL.build_corpus().world.ranks_AE[0]
    assert tokenizer.decode(answer) == f" E{truth[:2].argmax()}"


def test_what_a_model_writes_can_be_put_behind_its_prompt(made):
    tokenizer = AutoTokenizer.from_pretrained(made[0])
    prompt, answer = "which is up_size , E0 or E1 ?", [tokenizer.convert_tokens_to_ids("E1"), tokenizer.eos_token_id]
    text = prompt + tokenizer.decode(answer, skip_special_tokens=True)
    assert tokenizer(text)["input_ids"] == [*tokenizer(prompt)["input_ids"], answer[0]]


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
    words = SMALL.build_corpus().words
    assert tokenizer.convert_ids_to_tokens(list(range(len(words)))) == list(words)


def digest(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_same_options_same_weights(tmp_path):
    short = replace(SMALL, steps=3)
    for name, config in {"one": short, "two": short, "other": replace(short, seed=1)}.items():
        torch.manual_seed(len(name))
        pretrain(config, tmp_path / name)
    assert digest(tmp_path / "one") == digest(tmp_path / "two") != digest(tmp_path / "other")


def test_unknown_facts_stay_unknown(tmp_path):
    figures = pretrain(replace(SMALL, corpus={**FACTS, "facts_known": 0.0}), tmp_path)
    assert figures["accuracy_judgements"] < 0.85


def interrupt_at(monkeypatch, step):
    """Let the corpus fail once, when it is asked for the lines of a step."""
    drawn, sample = [], Facts.sample

    def failing(self, n_lines, rng):
        drawn.append(1)
        if len(drawn) == step:
            raise KeyboardInterrupt
        return sample(self, n_lines, rng)

    monkeypatch.setattr(Facts, "sample", failing)
    return drawn


def test_an_interrupted_pretraining_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    short, checkpoint = replace(SMALL, steps=8), tmp_path / "checkpoint.pt"
    whole = pretrain(short, tmp_path / "whole")
    monkeypatch.setattr(language_model, "CHECKPOINT_SECONDS", 0.0)
    drawn = interrupt_at(monkeypatch, step=6)
    with pytest.raises(KeyboardInterrupt):
        pretrain(short, tmp_path / "parts", checkpoint=checkpoint)
    assert checkpoint.exists() and not (tmp_path / "parts").exists()
    parts = pretrain(short, tmp_path / "parts", checkpoint=checkpoint)
    # Five steps before the interruption, three after it; the draw that failed makes nine.
    assert len(drawn) == 9
    assert digest(tmp_path / "whole") == digest(tmp_path / "parts")
    assert whole["loss"] == parts["loss"]


def test_a_checkpoint_of_other_options_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(language_model, "CHECKPOINT_SECONDS", 0.0)
    short, checkpoint = replace(SMALL, steps=2), tmp_path / "checkpoint.pt"
    pretrain(short, tmp_path / "one", checkpoint=checkpoint)
    with pytest.raises(ConfigError, match="checkpoint.pt: was written with other options; remove it"):
        pretrain(replace(short, steps=3), tmp_path / "two", checkpoint=checkpoint)


def test_logs_its_progress_where_there_is_no_bar(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(language_model, "LOG_SECONDS", 0.0)
    with caplog.at_level("INFO", logger="w2s_rm"):
        pretrain(replace(SMALL, steps=2), tmp_path / "logged")
    assert [record.getMessage()[:21] for record in caplog.records] == ["pretrain: step 1 of 2", "pretrain: step 2 of 2"]
    caplog.clear()
    with caplog.at_level("INFO", logger="w2s_rm"):
        pretrain(replace(SMALL, steps=2), tmp_path / "shown", progress=True)
    assert not caplog.records and digest(tmp_path / "logged") == digest(tmp_path / "shown")


def test_logits_are_those_of_the_whole_model_at_the_tokens_to_predict():
    corpus = SMALL.build_corpus()
    model = language_model.build_model(SMALL, corpus).eval()
    lines = corpus.sample(5, np.random.default_rng(0))
    # Two tokens of a line at once, and in one line none.
    lines.predict_NT[0, [3, 8]], lines.predict_NT[1] = True, False
    with torch.no_grad():
        whole_NTV = model(input_ids=torch.from_numpy(lines.ids_NT)).logits
        logits_PV = language_model.predict(model, lines)
    places = [(n, t) for n in range(5) for t in range(11) if lines.predict_NT[n, t]]
    assert [corpus.words[word] for word in lines.targets_P] == [corpus.words[lines.ids_NT[place]] for place in places]
    assert torch.allclose(logits_PV, torch.stack([whole_NTV[n, t - 1] for n, t in places]), atol=1e-5)


def test_the_context_has_room_for_longer_texts_than_the_lines():
    chess = Pretraining(
        {"name": "chess_games", "path": "games.txt", "n_moves": 40}, hidden_size=16, num_hidden_layers=1
    )
    lengths = [language_model.build_model(p, p.build_corpus()).config.max_position_embeddings for p in (SMALL, chess)]
    assert lengths == [64, 36 + 40 + 16]


def test_bfloat16_keeps_the_weights_in_float32(tmp_path):
    short = replace(SMALL, steps=3)
    for config, name in ((short, "float32"), (replace(short, bf16=True), "bfloat16")):
        pretrain(config, tmp_path / name)
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("float32", "bfloat16")]
    assert {tensor.dtype for tensor in weights[1].values()} == {torch.float32}
    differences = [(weights[0][name] - weights[1][name]).abs().max().item() for name in weights[0]]
    assert 0 < max(differences) < 0.02


def test_options_survive_a_dictionary_and_have_their_defaults_filled_in():
    assert Pretraining(**asdict(SMALL)) == SMALL
    resolved = Pretraining(steps=5).resolved()
    assert resolved["steps"] == 5 and resolved["corpus"] == {"name": "facts", **asdict(Facts())}
    assert Pretraining(**resolved).resolved() == resolved == json.loads(json.dumps(resolved))


def test_identity_follows_the_content_and_not_the_path(tmp_path):
    (tmp_path / "a.txt").write_text("e2e4\n")
    (tmp_path / "b.txt").write_text("e2e4\n")
    (tmp_path / "c.txt").write_text("d2d4\n")
    a, b, c = (
        Pretraining({"name": "chess_games", "path": str(tmp_path / name)}).identity()
        for name in ("a.txt", "b.txt", "c.txt")
    )
    assert a == b != c and a["corpus"]["n_moves"] == 16


def test_all_wrong_options_are_named():
    with pytest.raises(ConfigError, match=r"(?s)steps is 0: .*batch_size is -1: .*learning_rate is 0"):
        Pretraining(steps=0, batch_size=-1, learning_rate=0)
    with pytest.raises(ConfigError, match="hidden_size is 30: set a multiple of twice num_attention_heads"):
        Pretraining(hidden_size=30)
    # numpy would say so, when the model is made.
    for seed in (-1, 2**32):
        with pytest.raises(ConfigError, match=f"seed is {seed}: set 0 or more, below"):
            Pretraining(seed=seed)
    with pytest.raises(ConfigError, match=r"(?s)steps: is 0: .*corpus.facts_known: is 2"):
        build_options(Pretraining, {"corpus": {"name": "facts", "facts_known": 2}, "steps": 0}, "pretrain")


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({}, "corpus:.*name: is missing; known: .*facts"),
        ({"name": "fact"}, "name: no corpus 'fact'; did you mean 'facts'"),
        (
            {"name": "facts", "entities": 3},
            "facts:.*entities: unknown option of corpus facts; did you mean 'n_entities'",
        ),
        (
            {"name": "chess_games", "n_move": 3},
            "path: is missing; .*n_move: unknown option of corpus chess_games; did you mean",
        ),
    ],
)
def test_a_corpus_that_does_not_exist_is_named(corpus, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        Pretraining(corpus).build_corpus()


def test_options_load_without_torch():
    code = "import sys, w2s_rm.training.pretraining as p; p.Pretraining().resolved(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
