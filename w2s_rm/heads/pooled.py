"""A model for sequence classification that reads more than the class of its architecture does: any pooling, a bias.

What is saved of it loads with transformers' own `Auto` classes, once [`register_pooled`] was called.

Shape suffixes: R rows fed to the model, T tokens, D width, O outputs.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

LAST, MEAN = "last", "mean"


class PooledConfig(PreTrainedConfig):
    """The configuration of a [`PooledForSequenceClassification`].

    Args:
        text_config (`PreTrainedConfig` or `dict`): Of the model whose hidden states are read.
        pooling (`str`, *optional*, defaults to `"mean"`): `mean`, over all tokens of a row, or `last`, the state at its
            last token that is no padding.
        kwargs (`Any`): What all configurations have: `num_labels`, `pad_token_id`.
    """

    model_type: ClassVar[str] = "w2s_rm_pooled"
    sub_configs: ClassVar[dict[str, Any]] = {"text_config": AutoConfig}

    def __init__(
        self, text_config: PreTrainedConfig | dict[str, Any] | None = None, pooling: str = MEAN, **kwargs: Any
    ) -> None:
        self.text_config = AutoConfig.for_model(**text_config) if isinstance(text_config, dict) else text_config
        self.pooling = pooling
        super().__init__(**kwargs)


class PooledForSequenceClassification(PreTrainedModel):
    """Linear outputs of the pooled last hidden states of a model.

    Args:
        config ([`PooledConfig`]): Model, pooling and number of outputs.
    """

    config_class = PooledConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = _supports_attention_backend = True

    def __init__(self, config: PooledConfig) -> None:
        super().__init__(config)
        text, outputs = cast(Any, config.text_config), cast(int, config.num_labels)
        self.model = AutoModel.from_config(text)
        # What encoders make of their first token; nobody reads it, and not all that are trained have it.
        if getattr(self.model, "pooler", None) is not None:
            self.model.pooler = None
        # With a bias, which transformers' own classifiers lack: it holds the mean that features were centred by.
        self.score = nn.Linear(text.hidden_size, outputs)
        # Of a model in 16 bits, too: rounded, its weights would be others than were fitted.
        self._keep_in_fp32_modules_strict = {"score"}
        self.post_init()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **options: Any
    ) -> SequenceClassifierOutput:
        """Return the logits of rows, of shape `(R, O)`.

        Args:
            input_ids (`Tensor` of shape `(R, T)`): Tokens.
            attention_mask (`Tensor` of shape `(R, T)`, *optional*): 0 at padding; by default there is none.
            options (`Any`): For the model below.
        """
        mask_RT = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        states = self.model(input_ids=input_ids, attention_mask=mask_RT, **options).last_hidden_state
        # Summed in float32, for 16 bits would round a mean over many tokens.
        pooled_RD = self._pool(states.float(), input_ids, mask_RT)
        # The weights of `score` are float32 unless somebody casts the whole model, as `bf16_full_eval` does.
        return SequenceClassifierOutput(logits=self.score(pooled_RD.to(self.score.weight.dtype)))

    def _pool(self, states_RTD: Tensor, input_ids: Tensor, mask_RT: Tensor) -> Tensor:
        if self.config.pooling == LAST:
            # As transformers reads a row; where all of it is padding, at its first token.
            kept_RT = (input_ids != self.config.pad_token_id) * torch.arange(input_ids.shape[1], device=mask_RT.device)
            return states_RTD[torch.arange(len(states_RTD), device=mask_RT.device), kept_RT.argmax(dim=1)]
        weights_RT1 = mask_RT[:, :, None].to(states_RTD.dtype)
        return (states_RTD * weights_RT1).sum(dim=1) / weights_RT1.sum(dim=1)


def register_pooled() -> None:
    """Let transformers' `Auto` classes load what is saved of a [`PooledForSequenceClassification`]."""
    AutoConfig.register(PooledConfig.model_type, PooledConfig, exist_ok=True)
    AutoModelForSequenceClassification.register(PooledConfig, PooledForSequenceClassification, exist_ok=True)
