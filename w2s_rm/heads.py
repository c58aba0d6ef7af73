"""How a model scores candidates: three heads, each with its model class, its rows in either layout and its arithmetic.

Shape suffixes: B examples, K candidates, R rows fed to the model, L positions whose logits are kept, F places that are
read, in one flat row, O outputs of the model, V words of the vocabulary, M tokens of all candidates, in one flat row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from w2s_rm.data.collation import PaddedCollator, PrefixCollator, PromptCollator, share_prefixes
from w2s_rm.data.shared_prefix import Tree, candidate_tree, prompt_tree, token_tree

_CLASSIFIERS = {"score", "classifier"}

Collator = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]


class Scored(NamedTuple):
    """Scores of a batch.

    Args:
        scores_BK (`Tensor` of shape `(B, K)`): Float32; `finfo.min` at padding candidates. Those of the same tokens
            have the same score, to the last bit.
        greedy_B (`Tensor` of shape `(B,)`, *optional*): Candidate that greedy decoding writes, -1 for none of them.
    """

    scores_BK: Tensor
    greedy_B: Tensor | None = None


class Head(Protocol):
    """A way to score candidates."""

    @property
    def auto_class(self) -> Any:
        """Loads its models."""
        ...

    @property
    def task_type(self) -> str:
        """PEFT's name for them."""
        ...

    @property
    def kind(self) -> str:
        """Names them in messages."""
        ...

    def model_options(self, classes: Sequence[str] | None) -> dict[str, Any]:
        """Keyword arguments with which a model of this head is loaded.

        Args:
            classes (`Sequence[str]`, *optional*): The fixed classes of the task.
        """
        ...

    def collator(self, pad_token_id: int, pad_to_multiple_of: int | None) -> Collator:
        """Make the collator of the padded layout, which lays out rows for [`score`].

        Args:
            pad_token_id (`int`): Token to pad with.
            pad_to_multiple_of (`int`, *optional*): Round the length of rows up to a multiple of this.
        """
        ...

    def tree(self, example: Mapping[str, Any], pad_token_id: int) -> Tree:
        """Lay out an example for the layout with shared prefixes.

        Args:
            example (`Mapping`): Encoded row.
            pad_token_id (`int`): Token to pad with.
        """
        ...

    def branch_lengths(self, candidates: Sequence[Sequence[int]]) -> list[int]:
        """Count the tokens that follow the prompt in each row, or branch, of an example.

        Args:
            candidates (`Sequence[Sequence[int]]`): Tokens of the K candidates.
        """
        ...

    def score(self, model: nn.Module, inputs: Mapping[str, Any]) -> Scored:
        """Score a batch.

        Args:
            model (`nn.Module`): The model, wrapped or not; see [`~w2s_rm.branches.read_branches`] for shared prefixes.
            inputs (`Mapping`): What the collator of either layout made.
        """
        ...

    def output_layers(self, model: nn.Module) -> list[nn.Linear]:
        """Return the layers that make scores, to be kept in float32 under autocast.

        Args:
            model (`nn.Module`): The model, with or without adapter.
        """
        ...


@dataclass(frozen=True)
class RewardHead:
    """A scalar at each candidate's last token."""

    auto_class: Any = AutoModelForSequenceClassification
    task_type: str = "SEQ_CLS"
    kind: str = "reward model with one output"

    def model_options(self, classes: Sequence[str] | None) -> dict[str, Any]:
        """One output, whatever the classes."""
        return {"num_labels": 1}

    def collator(self, pad_token_id: int, pad_to_multiple_of: int | None) -> Collator:
        """Rows are candidates."""
        return PaddedCollator(pad_token_id, pad_to_multiple_of)

    def tree(self, example: Mapping[str, Any], pad_token_id: int) -> Tree:
        """Branches are candidates."""
        return candidate_tree(example, pad_token_id)

    def branch_lengths(self, candidates: Sequence[Sequence[int]]) -> list[int]:
        """Those of the candidates."""
        return list(map(len, candidates))

    def score(self, model: nn.Module, inputs: Mapping[str, Any]) -> Scored:
        """Read the scalar of each candidate."""
        return Scored(_tie(_scatter(_classify(model, inputs).squeeze(-1), inputs["mask"]), inputs))

    def output_layers(self, model: nn.Module) -> list[nn.Linear]:
        """The score layer, whatever its name."""
        return [module for module in model.modules() if isinstance(module, nn.Linear) and module.out_features == 1]


@dataclass(frozen=True)
class ClassificationHead:
    """A logit for each class at the prompt's end."""

    auto_class: Any = AutoModelForSequenceClassification
    task_type: str = "SEQ_CLS"
    kind: str = "classifier"

    def model_options(self, classes: Sequence[str] | None) -> dict[str, Any]:
        """One output for each class, under its name."""
        if classes is None:
            raise TypeError("a classification head needs fixed classes")
        labels = dict(enumerate(name.strip() for name in classes))
        return {"num_labels": len(labels), "id2label": labels, "label2id": {v: k for k, v in labels.items()}}

    def collator(self, pad_token_id: int, pad_to_multiple_of: int | None) -> Collator:
        """Rows are prompts."""
        return PromptCollator(pad_token_id, pad_to_multiple_of)

    def tree(self, example: Mapping[str, Any], pad_token_id: int) -> Tree:
        """No branches: sharing rows saves the padding."""
        return prompt_tree(example, pad_token_id)

    def branch_lengths(self, candidates: Sequence[Sequence[int]]) -> list[int]:
        """One row with nothing after the prompt."""
        return [0]

    def score(self, model: nn.Module, inputs: Mapping[str, Any]) -> Scored:
        """Read the logits of each prompt."""
        return Scored(_classify(model, inputs))

    def output_layers(self, model: nn.Module) -> list[nn.Linear]:
        """The classifier's last layer."""
        # By name: a LoRA layer may have as many outputs as there are classes.
        return [
            module
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and _CLASSIFIERS & set(name.split("."))
        ]


@dataclass(frozen=True)
class LmHead:
    """The sum of log-probabilities of each candidate's tokens after the prompt.

    Fed are the prompt and all tokens of a candidate but the last. A candidate whose fed tokens begin another's needs no
    row or branch of its own, so candidates of one token, such as moves with a word each, cost no more than the prompt.
    """

    auto_class: Any = AutoModelForCausalLM
    task_type: str = "CAUSAL_LM"
    kind: str = "language model"

    def model_options(self, classes: Sequence[str] | None) -> dict[str, Any]:
        """None: the vocabulary holds all candidates."""
        return {}

    def collator(self, pad_token_id: int, pad_to_multiple_of: int | None) -> Collator:
        """Rows are prompts with what candidates share, padded on the left so that what is read stands at the end."""
        return PrefixCollator(pad_token_id, pad_to_multiple_of)

    def tree(self, example: Mapping[str, Any], pad_token_id: int) -> Tree:
        """Branches are candidates without their last tokens."""
        return token_tree(example, pad_token_id)

    def branch_lengths(self, candidates: Sequence[Sequence[int]]) -> list[int]:
        """Those of the beginnings that begin no other."""
        return list(map(len, share_prefixes([tuple(ids[:-1]) for ids in candidates])[1]))

    def score(self, model: nn.Module, inputs: Mapping[str, Any]) -> Scored:
        """Sum the log-probabilities of each candidate's tokens, and see which one greedy decoding would write."""
        logits_FV = _write(model, inputs)
        place_M, token_M = inputs["token_places"], inputs["token_ids"]
        log_probs_M = logits_FV[place_M, token_M] - logits_FV.logsumexp(dim=-1)[place_M]
        mask_BK, owner_M = inputs["mask"], inputs["token_candidates"]
        sums_F = log_probs_M.new_zeros(int(mask_BK.sum())).index_add(0, owner_M, log_probs_M)
        with torch.no_grad():
            # Not by the highest value: of tied tokens decoding writes one.
            best_M = (token_M == logits_FV.argmax(dim=-1)[place_M]).float()
            lengths_F = torch.zeros_like(sums_F).index_add(0, owner_M, torch.ones_like(best_M))
            hits_F = torch.zeros_like(sums_F).index_add(0, owner_M, best_M)
            # Where one candidate begins another, decoding goes on to the longer one.
            written_BK = _scatter(torch.where(hits_F == lengths_F, lengths_F, -1.0), mask_BK)
            longest_B, index_B = written_BK.max(dim=1)
        return Scored(_tie(_scatter(sums_F, mask_BK), inputs), torch.where(longest_B > 0, index_B, -1))

    def output_layers(self, model: nn.Module) -> list[nn.Linear]:
        """The unembedding."""
        module: Any = model
        layer = module.get_output_embeddings()
        return [layer] if isinstance(layer, nn.Linear) else []


HEADS: Mapping[str, Head] = {"reward": RewardHead(), "classification": ClassificationHead(), "lm": LmHead()}


def keep_in_float32(layers: Sequence[nn.Linear]) -> None:
    """Let layers compute in float32 under autocast.

    In bfloat16 a score of about 1 comes in steps of 1/128: close candidates tie, and weak labels are coarse.

    Args:
        layers (`Sequence[nn.Linear]`): Changed in place.
    """
    for layer in layers:
        layer.forward = _Float32Linear(layer)  # type: ignore[method-assign, assignment]


@dataclass(frozen=True)
class _Float32Linear:
    layer: nn.Linear

    def __call__(self, hidden: Tensor) -> Tensor:
        layer = self.layer
        with torch.autocast(hidden.device.type, enabled=False):
            bias = None if layer.bias is None else layer.bias.float()
            return nn.functional.linear(hidden.float(), layer.weight.float(), bias)


def _read(model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    names = ("input_ids", "position_ids", "segments", "branches", "read_at")
    outputs_FO: Tensor = model(**{name: inputs[name] for name in names}, use_cache=False)
    return outputs_FO.float()


def _classify(model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    if "branches" in inputs:
        return _read(model, inputs)
    outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
    logits_RO: Tensor = outputs.logits.float()
    return logits_RO


def _write(model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    if "branches" in inputs:
        return _read(model, inputs)
    mask_RT = inputs["attention_mask"]
    outputs = model(
        input_ids=inputs["input_ids"],
        attention_mask=mask_RT,
        position_ids=(mask_RT.cumsum(dim=1) - 1).clamp(min=0),
        logits_to_keep=int(inputs["kept"]),
        use_cache=False,
    )
    logits_RLV: Tensor = outputs.logits.float()
    return logits_RLV.flatten(0, 1)


def _scatter(values_F: Tensor, mask_BK: Tensor) -> Tensor:
    scores_BK = torch.full(mask_BK.shape, torch.finfo(torch.float32).min, device=mask_BK.device)
    return scores_BK.masked_scatter(mask_BK, values_F)


def _tie(scores_BK: Tensor, inputs: Mapping[str, Any]) -> Tensor:
    """Give candidates of the same tokens one score: rounding, which differs from place to place, is no preference."""
    return scores_BK.gather(1, inputs["alike"]) if "alike" in inputs else scores_BK
