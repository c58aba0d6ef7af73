"""The drop-in against TRL's own trainer, and one trajectory for every split of the batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from training_helpers import COMMON, Record, questions
from transformers import AutoModelForSequenceClassification, Gemma3Config
from trl import ModelConfig, RewardConfig, RewardTrainer

from w2s_rm import W2SRewardConfig, W2SRewardTrainer, W2STrainer
from w2s_rm.errors import ConfigError, DataError, NonFiniteError
from w2s_rm.losses.cross_entropy import CrossEntropy
from w2s_rm.losses.log_confidence import LogConfidence
from w2s_rm.training.layouts import refuse_long_rows
from w2s_rm.training.mixin import agreement
from w2s_rm.training.modeling import load_for_trainer, load_model


def trajectory(trainer_class: type, config: Any, model: str, rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
    record = Record()
    data = datasets.Dataset.from_list(rows)
    trainer = trainer_class(model=model, args=config, train_dataset=data, callbacks=[record])
    trainer.train()
    return record.steps


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"center_rewards_coefficient": 0.01},
        {"margin": True},
        {"margin": True, "center_rewards_coefficient": 0.01},
    ],
)
def test_hard_labels_follow_trl_step_for_step(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path, options: dict[str, Any]
) -> None:
    rows = [{key: value for key, value in row.items() if key != "id"} for row in pairs(160)]
    options = dict(options)
    if options.pop("margin", False):
        rows = [{**row, "margin": 0.25 * (index % 3)} for index, row in enumerate(rows)]
    model = tiny_model()
    theirs = trajectory(
        RewardTrainer, RewardConfig(str(tmp_path / "a"), max_steps=20, **COMMON, **options), model, rows
    )
    ours = trajectory(
        W2SRewardTrainer, W2SRewardConfig(str(tmp_path / "b"), max_steps=20, **COMMON, **options), model, rows
    )
    assert len(theirs) == len(ours) == 20
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=2e-5, atol=2e-6)


def test_margins_belong_to_the_loss_alone(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    """Predictions, accuracies and logs are TRL's: with margins above every difference nothing would seem right."""
    rows = [{key: row[key] for key in ("prompt", "chosen", "rejected")} | {"margin": 50.0} for row in pairs(40)]
    data, common = datasets.Dataset.from_list(rows), {**COMMON, "logging_steps": 1, "learning_rate": 0.0}
    theirs = RewardTrainer(
        model=tiny_model(),
        args=RewardConfig(str(tmp_path / "a"), max_steps=2, **common),
        train_dataset=data,
        eval_dataset=data,
    )
    ours = W2SRewardTrainer(
        model=tiny_model(),
        args=W2SRewardConfig(str(tmp_path / "b"), max_steps=2, **common),
        train_dataset=data,
        eval_dataset=data,
    )
    expected, found = theirs.evaluate(), ours.evaluate()
    assert found["eval_loss"] == pytest.approx(expected["eval_loss"], rel=1e-5)
    assert found["eval_accuracy"] == pytest.approx(expected["eval_accuracy"], abs=1e-6)
    assert 0 < found["eval_accuracy"] < 1
    scores = torch.as_tensor(ours.predict(data).predictions)
    assert float(scores.abs().max()) < 10
    assert float((scores[:, 0] > scores[:, 1]).double().mean()) == pytest.approx(found["eval_accuracy"], abs=1e-6)
    ours.train()
    assert max(entry["accuracy"] for entry in ours.state.log_history if "accuracy" in entry) > 0


def test_raw_rows_streams_and_several_sets_are_evaluated(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in pairs(24)]
    data = datasets.Dataset.from_list(rows)
    sets = datasets.DatasetDict({"a": data.select(range(10)), "b": data.select(range(10, 24))})
    config = W2SRewardConfig(str(tmp_path), max_steps=2, **COMMON)
    trainer = W2SRewardTrainer(
        model=tiny_model(), args=config, train_dataset=data.to_iterable_dataset(), eval_dataset=dict(sets)
    )
    assert trainer.train().global_step == 2
    found = trainer.evaluate()
    whole = trainer.evaluate(data)
    mean = (10 * found["eval_a_accuracy"] + 14 * found["eval_b_accuracy"]) / 24
    assert whole["eval_accuracy"] == pytest.approx(mean, abs=1e-6)
    assert trainer.evaluate(data.to_iterable_dataset())["eval_accuracy"] == pytest.approx(mean, abs=1e-6)
    assert trainer.evaluate(sets)["eval_b_loss"] == pytest.approx(found["eval_b_loss"], abs=1e-6)
    assert trainer.predict(data).predictions.shape == (24, 2)


def test_rows_that_are_no_comparison_are_named_at_once(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    rows = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in pairs(6)]
    config = W2SRewardConfig(str(tmp_path), **COMMON)
    rows[1]["rejected"] = None
    rows[4]["prompt"] = None
    with pytest.raises(DataError, match=r"(?s)row 1: rejected is null.*row 4: prompt is null"):
        W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=datasets.Dataset.from_list(rows))
    mixed = [{**rows[0], "prompt": [{"role": "user", "content": "w1"}]}]
    with pytest.raises(DataError, match="row 0: text and messages are mixed"):
        W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=datasets.Dataset.from_list(mixed))


def test_training_learns_and_evaluates(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    config = W2SRewardConfig(str(tmp_path), num_train_epochs=4, **{**COMMON, "learning_rate": 3e-3})
    train, test = datasets.Dataset.from_list(pairs(200)), datasets.Dataset.from_list(pairs(51, seed=1))
    trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=train, eval_dataset=test)
    before = trainer.evaluate()["eval_accuracy"]
    trainer.train()
    after = trainer.evaluate()["eval_accuracy"]
    assert before < 0.8 < 0.95 < after


@pytest.mark.parametrize("loss", ["cross_entropy", {"name": "log_confidence", "warmup_fraction": 0.0}])
@pytest.mark.parametrize("fixed_classes", [False, True])
def test_accumulation_does_not_change_the_trajectory(
    tiny_model: Callable[..., str],
    pairs: Callable[..., Any],
    tmp_path: Path,
    loss: Any,
    fixed_classes: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(W2SRewardTrainer, "exchangeable", not fixed_classes)
    rows = [{**row, "chosen_probability": 0.05 + 0.9 * (index % 7) / 7} for index, row in enumerate(pairs(27))]
    runs = []
    for micro, accumulation in ((16, 1), (4, 4), (1, 16)):
        sizes = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": accumulation}
        config = W2SRewardConfig(str(tmp_path / str(micro)), num_train_epochs=2, loss=loss, **{**COMMON, **sizes})
        runs.append(torch.tensor(trajectory(W2SRewardTrainer, config, tiny_model(), rows)))
    # 27 examples in batches of 16 end in a ragged batch of 11: two steps an epoch.
    assert len(runs[0]) == 4
    torch.testing.assert_close(runs[1], runs[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(runs[2], runs[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_loss_hears_the_share_of_steps_that_are_done(
    tiny_model: Callable[..., str],
    pairs: Callable[..., Any],
    tmp_path: Path,
    accumulation: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[float] = []
    own = CrossEntropy.__call__

    def listen(self: CrossEntropy, *args: Any, progress: float, **kwargs: Any) -> Any:
        heard.append(progress)
        return own(self, *args, progress=progress, **kwargs)

    monkeypatch.setattr(CrossEntropy, "__call__", listen)
    sizes = {"per_device_train_batch_size": 8 // accumulation, "gradient_accumulation_steps": accumulation}
    config = W2SRewardConfig(str(tmp_path), num_train_epochs=2, **{**COMMON, **sizes})
    trajectory(W2SRewardTrainer, config, tiny_model(), pairs(16))
    # Two epochs of two steps: the first step begins with none done, the last with three of four.
    assert heard == [share for share in (0.0, 0.25, 0.5, 0.75) for _ in range(accumulation)]


def test_thresholds_are_for_fixed_classes_only(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Chosen first: hardening at the median calls half of the pairs wrong, by argmax it does not.
    loss = {"name": "log_confidence", "warmup_fraction": 0.0, "max_weight": 1.0}
    runs = []
    for exchangeable in (True, False):
        monkeypatch.setattr(W2SRewardTrainer, "exchangeable", exchangeable)
        config = W2SRewardConfig(str(tmp_path / str(exchangeable)), max_steps=3, loss=loss, **COMMON)
        runs.append(trajectory(W2SRewardTrainer, config, tiny_model(), pairs(64)))
    assert runs[0] != runs[1]


def test_scores_are_float32_under_bf16(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    data = datasets.Dataset.from_list(pairs(32))
    config = W2SRewardConfig(str(tmp_path), **{**COMMON, "bf16": True})
    trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=data)
    scores = torch.as_tensor(trainer.predict(trainer.train_dataset).predictions)
    assert (scores != scores.bfloat16().float()).float().mean() > 0.9


def test_soft_labels_change_the_loss(tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path) -> None:
    # At equal scores every label costs log 2; a label of 0.5 has no gradient there, a hard one has.
    model = tiny_model()
    rows = pairs(8)
    same = [{**row, "rejected": row["chosen"], "chosen_probability": 0.5} for row in rows]
    config = W2SRewardConfig(str(tmp_path), max_steps=1, **COMMON)
    ((loss, norm),) = trajectory(W2SRewardTrainer, config, model, same)
    assert loss == pytest.approx(0.6931472, abs=1e-6)
    assert norm == pytest.approx(0.0, abs=1e-6)


def test_non_finite_scores_stop_training_with_step_and_ids(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    config = W2SRewardConfig(str(tmp_path), max_steps=3, **COMMON)
    trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=datasets.Dataset.from_list(pairs(16)))
    with torch.no_grad():
        trainer.model.score.weight.fill_(float("nan"))
    with pytest.raises(NonFiniteError, match=r"step 1: .*pair\d+"):
        trainer.train()


@pytest.mark.parametrize("bad", [1.5, -0.1, float("nan"), None])
def test_labels_that_are_no_probabilities_are_refused(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path, bad: Any
) -> None:
    rows = [{**row, "chosen_probability": 0.7} for row in pairs(4)]
    rows[2]["chosen_probability"] = bad
    with pytest.raises(DataError, match="row 2: chosen_probability"):
        config = W2SRewardConfig(str(tmp_path), **COMMON)
        W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=datasets.Dataset.from_list(rows))


def test_unknown_loss_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_wieght.*max_weight"):
        W2SRewardTrainer(
            model="unused",
            args=W2SRewardConfig(str(tmp_path), loss={"name": "log_confidence", "max_wieght": 1}, **COMMON),
        )


def test_agreement_gives_ties_their_chance() -> None:
    lowest = torch.finfo(torch.float32).min
    scores_BK = torch.tensor([[2, 1, lowest], [1, 2, lowest], [1, 1, lowest], [3, 1, 3], [1, 2, 3]])
    targets_BK = torch.tensor([[0.9, 0.1, 0], [0.9, 0.1, 0], [0.9, 0.1, 0], [0.2, 0.2, 0.6], [0.4, 0.2, 0.4]])
    # Right, wrong, both scores the same, two scores the same, one of two best candidates.
    assert agreement(scores_BK, targets_BK).tolist() == [1.0, 0.0, 0.5, 0.5, 0.5]


def test_a_model_that_scores_all_the_same_has_chance_accuracy(
    tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    data = datasets.Dataset.from_list(pairs(9))
    config = W2SRewardConfig(str(tmp_path), **COMMON)
    trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=data, eval_dataset=data)
    with torch.no_grad():
        trainer.model.score.weight.zero_()
    assert trainer.evaluate()["eval_accuracy"] == 0.5


def test_conversations_and_implicit_prompts_train(
    tiny_model: Callable[..., str], tiny_tokenizer: Callable[..., Any], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} <eos> {% endfor %}"
    rows = [
        {
            "chosen": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["chosen"]}],
            "rejected": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["rejected"]}],
        }
        for row in pairs(16)
    ]
    data = datasets.Dataset.from_list(rows)
    config = W2SRewardConfig(str(tmp_path), max_steps=1, **COMMON)
    trainer = W2SRewardTrainer(model=tiny_model(), args=config, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    theirs = RewardTrainer(
        model=tiny_model(), args=RewardConfig(str(tmp_path), **COMMON), train_dataset=data, processing_class=tokenizer
    ).train_dataset
    for ours, expected in zip(trainer.train_dataset, theirs, strict=True):
        assert [ours["prompt_ids"] + ids for ids in ours["candidate_ids"]] == [
            expected["chosen_ids"],
            expected["rejected_ids"],
        ]


def softened(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with probabilities in place of labels, of many sizes."""
    soft = []
    for index, row in enumerate(rows):
        k = len(row["candidates"])
        p = 0.05 + 0.9 * (index % 7) / 7
        soft.append({name: row[name] for name in ("id", "prompt", "candidates")})
        soft[-1]["probabilities"] = [p, *[(1 - p) / (k - 1)] * (k - 1)]
    return soft


def w2s_trajectory(model: str, rows: list[dict[str, Any]], args: W2SRewardConfig, **options: Any) -> torch.Tensor:
    record = Record()
    data = datasets.Dataset.from_list(rows)
    W2STrainer(model=model, args=args, train_dataset=data, callbacks=[record], **options).train()
    return torch.tensor(record.steps)


@pytest.mark.parametrize("loss", ["cross_entropy", {"name": "log_confidence", "warmup_fraction": 0.0}])
@pytest.mark.parametrize("head", ["classification", "lm", "lm with classes"])
def test_accumulation_does_not_change_the_trajectory_of_any_head(
    tiny_language_model: Callable[..., str], tmp_path: Path, loss: Any, head: str
) -> None:
    rows = softened(questions(27, more=4 if head == "lm" else 0))
    options: dict[str, Any] = {"head": head.split()[0]}
    if head == "lm with classes":
        options["exchangeable"] = False
    runs = []
    for micro, accumulation in ((16, 1), (4, 4), (1, 16)):
        sizes = {"per_device_train_batch_size": micro, "gradient_accumulation_steps": accumulation}
        args = W2SRewardConfig(str(tmp_path / str(micro)), num_train_epochs=2, loss=loss, **{**COMMON, **sizes})
        runs.append(w2s_trajectory(tiny_language_model(), rows, args, **options))
    assert len(runs[0]) == 4
    torch.testing.assert_close(runs[1], runs[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(runs[2], runs[0], rtol=1e-4, atol=1e-5)


def reference_step(head: str, model: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Loss and gradient norm of one batch, example by example."""
    losses = []
    for row in rows:
        prompt = tokenizer(row["prompt"])["input_ids"]
        if head == "classification":
            scores_K = model(input_ids=torch.tensor([prompt])).logits[0]
        else:
            sums = []
            for candidate in row["candidates"]:
                ids = tokenizer(candidate)["input_ids"]
                log_probs_TV = model(input_ids=torch.tensor([prompt + ids])).logits[0].log_softmax(dim=-1)
                sums.append(sum(log_probs_TV[len(prompt) - 1 + place, token] for place, token in enumerate(ids)))
            scores_K = torch.stack(sums)
        losses.append(torch.nn.functional.cross_entropy(scores_K[None], torch.tensor([row["label"]])))
    loss = torch.stack(losses).mean()
    loss.backward()
    norms = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    return loss.item(), torch.stack(norms).norm().item()


@pytest.mark.parametrize("head", ["classification", "lm"])
def test_the_first_step_is_that_of_the_reference_form(
    tiny_language_model: Callable[..., str], tmp_path: Path, head: str
) -> None:
    rows, args = questions(8, more=4 if head == "lm" else 0), W2SRewardConfig(str(tmp_path), max_steps=1, **COMMON)
    ((loss, norm),) = w2s_trajectory(tiny_language_model(), rows, args, head=head).tolist()
    model, tokenizer = load_for_trainer(head, tiny_language_model(), args, [" w3", " w4 w5"])
    assert (loss, norm) == pytest.approx(reference_step(head, model.eval(), tokenizer, rows), rel=1e-5)


def test_classes_have_thresholds_and_moves_have_none(
    tiny_language_model: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = {"name": "log_confidence", "warmup_fraction": 0.0, "max_weight": 1.0}
    seen: dict[str, list[Any]] = {}
    call = LogConfidence.__call__
    for name, options in (
        ("classification", {"head": "classification"}),
        ("moves", {"head": "lm"}),
        ("label words", {"head": "lm", "exchangeable": False}),
    ):
        given = seen.setdefault(name, [])

        def watched(self: Any, *args: Any, given: list[Any] = given, **kwargs: Any) -> Any:
            given.append(kwargs["statistics"])
            return call(self, *args, **kwargs)

        monkeypatch.setattr(LogConfidence, "__call__", watched)
        args = W2SRewardConfig(str(tmp_path / name), max_steps=2, loss=loss, **COMMON)
        w2s_trajectory(tiny_language_model(), softened(questions(16)), args, **options)
    assert all(statistics is not None for statistics in seen["classification"] + seen["label words"])
    assert seen["moves"] == [None, None]


@pytest.mark.parametrize("head", ["classification", "lm"])
def test_w2s_trainer_learns_from_raw_rows_and_evaluates(
    tiny_language_model: Callable[..., str], tmp_path: Path, head: str
) -> None:
    args = W2SRewardConfig(str(tmp_path), num_train_epochs=3, **{**COMMON, "learning_rate": 3e-3})
    trainer = W2STrainer(
        model=tiny_language_model(),
        head=head,
        args=args,
        train_dataset=datasets.Dataset.from_list(questions(200)),
        eval_dataset=datasets.Dataset.from_list(questions(51, seed=1)),
    )
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    assert before["eval_accuracy"] < 0.8 < 0.95 < after["eval_accuracy"]
    assert after["eval_loss"] < 0.3 < before["eval_loss"]
    output = trainer.predict(trainer.eval_dataset).predictions
    assert isinstance(output, tuple) == (head == "lm")
    if head == "lm":
        # What is trained to win among the candidates is not yet what the model would write; it never is another one.
        scores_BK, greedy_B = output
        assert scores_BK.shape == (51, 2) and set(greedy_B.tolist()) <= {-1, 0, 1}


def test_ragged_candidates_are_predicted_in_order(tiny_language_model: Callable[..., str], tmp_path: Path) -> None:
    rows = questions(23, more=4)
    args = W2SRewardConfig(str(tmp_path), **{**COMMON, "per_device_eval_batch_size": 4})
    trainer = W2STrainer(
        model=tiny_language_model(), head="lm", args=args, train_dataset=datasets.Dataset.from_list(rows)
    )
    together_BK, _ = trainer.predict(trainer.train_dataset).predictions
    for number, row in enumerate(rows):
        alone_BK, _ = trainer.predict(trainer.train_dataset.select([number])).predictions
        k = len(row["candidates"])
        assert together_BK[number][:k] == pytest.approx(alone_BK[0], rel=1e-5)


def test_with_the_mass_of_candidates_a_step_is_plain_language_modelling(
    tiny_language_model: Callable[..., str], tmp_path: Path
) -> None:
    # -log p(right | candidates) - log p(candidates) = -log p(right): the others drop out.
    rows = questions(8, more=4)
    args = W2SRewardConfig(str(tmp_path), max_steps=1, candidate_mass_coefficient=1.0, **COMMON)
    ((loss, norm),) = w2s_trajectory(tiny_language_model(), rows, args, head="lm").tolist()
    model, tokenizer = load_for_trainer("lm", tiny_language_model(), args, [])
    losses = []
    for row in rows:
        prompt = tokenizer(row["prompt"])["input_ids"]
        target = tokenizer(row["candidates"][row["label"]])["input_ids"]
        logits_TV = model.eval()(input_ids=torch.tensor([prompt + target])).logits[0, len(prompt) - 1 : -1]
        losses.append(torch.nn.functional.cross_entropy(logits_TV, torch.tensor(target), reduction="sum"))
    reference = torch.stack(losses).mean()
    reference.backward()
    norms = [parameter.grad.norm() for parameter in model.parameters() if parameter.grad is not None]
    assert (loss, norm) == pytest.approx((reference.item(), torch.stack(norms).norm().item()), rel=1e-5)


@pytest.mark.parametrize("head", ["classification", "reward"])
def test_the_mass_of_candidates_is_for_log_probabilities_only(
    tiny_model: Callable[..., str], tmp_path: Path, head: str
) -> None:
    args = W2SRewardConfig(str(tmp_path), candidate_mass_coefficient=0.5, **COMMON)
    with pytest.raises(ConfigError, match=f"candidate_mass_coefficient is for head lm.*remove it for head {head}"):
        if head == "reward":
            W2SRewardTrainer(model=tiny_model(), args=args, train_dataset=datasets.Dataset.from_list(questions(2)))
        else:
            W2STrainer(model=tiny_model(), args=args, train_dataset=datasets.Dataset.from_list(questions(2)))


def refusal(error: type[Exception], model: Any, tmp_path: Path, rows: list[dict[str, Any]], **options: Any) -> str:
    args = W2SRewardConfig(str(tmp_path), **COMMON)
    with pytest.raises(error) as raised:
        W2STrainer(model=model, args=args, train_dataset=datasets.Dataset.from_list(rows), **options)
    return str(raised.value)


@pytest.mark.parametrize("bad", [2, -1, None])
@pytest.mark.parametrize("head", ["classification", "lm"])
def test_labels_outside_the_candidates_are_refused(
    tiny_language_model: Callable[..., str], tmp_path: Path, bad: Any, head: str
) -> None:
    rows = questions(5)
    rows[1]["label"] = rows[3]["label"] = bad
    message = refusal(DataError, tiny_language_model(), tmp_path, rows, head=head)
    assert "rows [1, 3]" in message


@pytest.mark.parametrize("bad", [[0.5, 0.6], [1.0], [1.5, -0.5], [float("nan"), 0.5], None])
def test_probabilities_that_are_no_distribution_are_refused(
    tiny_language_model: Callable[..., str], tmp_path: Path, bad: Any
) -> None:
    rows = softened(questions(5))
    rows[2]["probabilities"] = bad
    assert "rows [2]" in refusal(DataError, tiny_language_model(), tmp_path, rows, head="lm")


@pytest.mark.parametrize("bad", [[" w4 w5", " w3"], [" w3"], [" w3", " w4 w5", " w6"], [" w3", " w7"]])
def test_a_classifier_takes_the_same_classes_in_every_row(
    tiny_language_model: Callable[..., str], tmp_path: Path, bad: list[str]
) -> None:
    rows = [{**row, "label": 0} for row in questions(5)]
    rows[4]["candidates"] = bad
    message = refusal(DataError, tiny_language_model(), tmp_path, rows, head="classification")
    assert "[' w3', ' w4 w5']" in message and "rows [4]" in message
    refuse_eval = W2SRewardConfig(str(tmp_path), **COMMON)
    data, other = datasets.Dataset.from_list(rows[:4]), datasets.Dataset.from_list(rows[4:])
    with pytest.raises(DataError, match=r"rows \[0\] have other candidates"):
        W2STrainer(tiny_language_model(), refuse_eval, data, eval_dataset=other)


def test_equal_candidates_are_refused(tiny_language_model: Callable[..., str], tmp_path: Path) -> None:
    rows = questions(5)
    rows[2]["candidates"] = [" w3", "  w3"]
    message = refusal(DataError, tiny_language_model(), tmp_path, rows, head="lm")
    assert "example 'question2': candidates become the same tokens" in message


@pytest.mark.parametrize("dropped", ["prompt", "candidates", "label"])
def test_missing_columns_are_named(tiny_language_model: Callable[..., str], tmp_path: Path, dropped: str) -> None:
    rows = [{name: value for name, value in row.items() if name != dropped} for row in questions(5)]
    message = refusal(DataError, tiny_language_model(), tmp_path, rows, head="lm")
    assert f"no column {dropped}" in message and "it has id, " in message


def test_what_does_not_fit_the_head_is_refused(
    tiny_language_model: Callable[..., str], tiny_tokenizer: Callable[..., Any], tmp_path: Path
) -> None:
    rows, folder = questions(5), tiny_language_model()
    assert "W2SRewardTrainer for reward" in refusal(ConfigError, folder, tmp_path, rows, head="reward")
    three = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    assert "give the model's tokenizer" in refusal(ConfigError, three, tmp_path, rows)
    tokenizer = tiny_tokenizer()
    assert "3 outputs, the data 2 classes" in refusal(ConfigError, three, tmp_path, rows, processing_class=tokenizer)
    tokenizer.pad_token = None
    assert "no pad token" in refusal(ConfigError, three, tmp_path, rows, processing_class=tokenizer)


def test_a_given_tokenizer_and_the_class_names_are_used(
    tiny_language_model: Callable[..., str], tiny_tokenizer: Callable[..., Any], tmp_path: Path
) -> None:
    tokenizer = tiny_tokenizer(pad="<eos>")
    args = W2SRewardConfig(str(tmp_path), **COMMON)
    data = datasets.Dataset.from_list(questions(5))
    trainer = W2STrainer(tiny_language_model(), args, data, processing_class=tokenizer)
    assert trainer.processing_class is tokenizer and trainer.model.config.pad_token_id == tokenizer.eos_token_id
    assert trainer.model.config.id2label == {0: "w3", 1: "w4 w5"}
    assert trainer.exchangeable is False


def test_a_reward_model_of_text_and_images_is_told_its_padding(
    tiny_tokenizer: Callable[..., Any], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    """TRL tells its own configuration alone, and the last token is found by that of the text part."""
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    text = {**sizes, "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 80, "pad_token_id": 7}
    vision = {**sizes, "image_size": 16, "patch_size": 8}
    config = Gemma3Config(text_config=text, vision_config=vision, num_labels=1, mm_tokens_per_image=4)
    model, tokenizer = AutoModelForSequenceClassification.from_config(config), tiny_tokenizer()
    args = W2SRewardConfig(str(tmp_path), **{**COMMON, "layout": "padded"})
    data = datasets.Dataset.from_list(pairs(4))
    trainer = W2SRewardTrainer(model=model, args=args, train_dataset=data, processing_class=tokenizer)
    assert trainer.model.config.get_text_config().pad_token_id == tokenizer.pad_token_id != 7


def test_several_evaluation_sets_are_refused(tiny_model: Callable[..., str], tmp_path: Path) -> None:
    data = datasets.Dataset.from_list(questions(4))
    with pytest.raises(ConfigError, match="eval_dataset: give one dataset"):
        W2STrainer(tiny_model(), W2SRewardConfig(str(tmp_path), **COMMON), data, eval_dataset={"a": data})


@pytest.mark.parametrize("architecture", ["gpt2", "bert"])
def test_rows_longer_than_the_learned_positions_are_refused(
    architecture: str, tiny_model: Callable[..., str], pairs: Callable[..., Any], tmp_path: Path
) -> None:
    rows = pairs(4)
    rows[2]["prompt"] = " ".join(["w1"] * 300)
    args = W2SRewardConfig(str(tmp_path), **{**COMMON, "max_length": 280})
    with pytest.raises(ConfigError, match=r"up to 280 tokens.*256 positions; set max_length to 256"):
        W2SRewardTrainer(model=tiny_model(architecture), args=args, train_dataset=datasets.Dataset.from_list(rows))
    model = load_model("reward", ModelConfig(model_name_or_path=tiny_model(architecture)), args)
    long = datasets.Dataset.from_list([{"prompt_ids": [5] * 270, "candidate_ids": [[5], [6]]}])
    short = datasets.Dataset.from_list([{"prompt_ids": [5], "candidate_ids": [[5], [6]]}])
    refuse_long_rows(model, (short, {"a": short}, None))
    with pytest.raises(ConfigError, match="up to 271 tokens"):
        refuse_long_rows(model, (short, {"a": short, "b": long}))
