"""Trains a Llama-style model from random weights on a corpus. Its options are in `pretraining`.

Shape suffixes: N lines, T tokens of a line, P tokens to predict, V words of the vocabulary, D width.
"""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from tqdm.auto import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from w2s_rm.corpora import EOS, PAD, UNK, Corpus, Lines
from w2s_rm.errors import ConfigError
from w2s_rm.files import DIGITS, digest, write_bytes
from w2s_rm.training.pretraining import Pretraining

logger = logging.getLogger(__name__)

SCORE_HEAD_STD = 0.001
CHECKPOINT_SECONDS = 300.0
LOG_SECONDS = 60.0
SHORTEST_CONTEXT = 64
CONTEXT_ROOM = 16
"""Tokens that a text may be longer than the corpus' lines, as a task's prompts may be."""


def build_tokenizer(corpus: Corpus) -> PreTrainedTokenizerFast:
    """Make the tokenizer of a corpus: one token a word, split at white space.

    Args:
        corpus (`Corpus`): Gives the vocabulary; the id of a token is the position of its word.
    """
    core = Tokenizer(WordLevel(vocab={word: i for i, word in enumerate(corpus.words)}, unk_token=UNK))
    core.pre_tokenizer = WhitespaceSplit()
    # A blank before each word, the first too: what a policy writes can be put behind its prompt as it is.
    core.decoder = decoders.Sequence([decoders.Replace(Regex(r"\A"), " "), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token=PAD, eos_token=EOS, unk_token=UNK)


def build_model(config: Pretraining, corpus: Corpus) -> LlamaForCausalLM:
    """Make the model with random weights, which depend on the sizes and `config.seed` alone.

    Args:
        config (`Pretraining`): Gives the sizes.
        corpus (`Corpus`): Gives the vocabulary and the length of the lines.
    """
    # The caller's own random numbers go on as if none had been drawn here.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(corpus.words),
                hidden_size=config.hidden_size,
                num_hidden_layers=config.num_hidden_layers,
                num_attention_heads=config.num_attention_heads,
                # Llama's gated layers have three matrices where others have two: 8/3 of the width, here rounded up,
                # would be as many weights as the usual 4 are there.
                intermediate_size=config.intermediate_size or 3 * config.hidden_size,
                max_position_embeddings=max(SHORTEST_CONTEXT, corpus.line_length + CONTEXT_ROOM),
                pad_token_id=corpus.words.index(PAD),
                eos_token_id=corpus.words.index(EOS),
                bos_token_id=None,
                use_cache=False,
            )
        )


def predict(model: LlamaForCausalLM, lines: Lines) -> Tensor:
    """Return the logits of the tokens to predict, shape `(P, V)`, each from the tokens to its left.

    Args:
        model (`LlamaForCausalLM`): The model.
        lines ([`Lines`]): Padded on the right, where causal attention needs no mask.
    """
    # The last token predicts nothing; below, column c of what is to be predicted is one to the right of the state that
    # predicts it.
    ids_NT = torch.from_numpy(lines.ids_NT[:, :-1]).to(model.device)
    hidden_NTD = model.model(input_ids=ids_NT, attention_mask=None).last_hidden_state
    line_P, column_P = (torch.from_numpy(at).to(model.device) for at in np.nonzero(lines.predict_NT[:, 1:]))
    # Where nothing is predicted, logits over the whole vocabulary would be most of the work.
    return model.lm_head(hidden_NTD[line_P, column_P])


def pretrain(
    config: Pretraining,
    output_dir: Path,
    *,
    checkpoint: Path | None = None,
    progress: bool = False,
    report: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Pretrain a model and write it as a plain folder of weights, config and tokenizer.

    Args:
        config (`Pretraining`): The options.
        output_dir (`Path`): Where to write the folder; made if missing.
        checkpoint (`Path`, *optional*): File to keep the state in every few minutes, and to go on from if it is there;
            the weights come out the same. It is left for the caller to delete.
        progress (`bool`, *optional*, defaults to `False`): Show a progress bar; otherwise log a line a minute.
        report (`Callable[[int, int], None]`, *optional*): Is told after each step how many are done, and how many
            there are.

    Returns:
        `dict[str, float]`: `loss` (mean over the last tenth of the steps, nats), what the corpus measures, `parameters`
        and `seconds` (of this process).

    Raises:
        ConfigError: The checkpoint was written with other options.
    """
    started = time.perf_counter()
    training = _Training(config)
    if checkpoint is not None and checkpoint.exists():
        training.resume(checkpoint)
    training.run(checkpoint, progress, report)
    measured = training.corpus.measure(training.logits)
    model, losses = training.model, training.losses
    # A score head put on later is drawn with this width. At the usual 0.02 it would start out reading the model's
    # judgement, upside down for every other seed, and a student that hardens its own predictions would stay there.
    model.config.initializer_range = SCORE_HEAD_STD
    model.save_pretrained(output_dir)
    build_tokenizer(training.corpus).save_pretrained(output_dir)
    return {
        "loss": float(np.mean(losses[-max(1, len(losses) // 10) :])),
        **measured,
        "parameters": float(model.num_parameters()),
        "seconds": time.perf_counter() - started,
    }


class _Training:
    """The state of one pretraining: model, optimizer, schedule, draws of the corpus and losses so far."""

    def __init__(self, config: Pretraining) -> None:
        self.config, self.corpus = config, config.build_corpus()
        self.model = build_model(config, self.corpus)
        if torch.accelerator.is_available():
            device: Any = torch.accelerator.current_accelerator()
            self.model.to(device)
        rate = config.learning_rate
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=rate, weight_decay=0.0, fused=True)
        # One step more than are taken: the schedule ends at a rate of nearly 0, which the last step would otherwise
        # have.
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, rate, total_steps=config.steps + 1, pct_start=0.1
        )
        # A stream of its own: lines do not change with what draws the weights.
        self.rng = np.random.default_rng([config.seed, 3])
        self.losses: list[float] = []

    def run(self, checkpoint: Path | None, progress: bool, report: Callable[[int, int], None] | None) -> None:
        steps = range(len(self.losses), self.config.steps)
        saved = logged = time.monotonic()
        for _ in tqdm(steps, desc="pretrain", disable=not progress, leave=False):
            self.step()
            if report is not None:
                report(len(self.losses), self.config.steps)
            now = time.monotonic()
            if not progress and now - logged >= LOG_SECONDS:
                logged = now
                recent = float(np.mean(self.losses[-100:]))
                logger.info("pretrain: step %d of %d, loss %.3f", len(self.losses), self.config.steps, recent)
            if checkpoint is not None and now - saved >= CHECKPOINT_SECONDS:
                saved = now
                self.save(checkpoint)

    def step(self) -> None:
        self.model.train()
        lines = self.corpus.sample(self.config.batch_size, self.rng)
        with self.precision():
            logits_PV = predict(self.model, lines)
        # Float32 also under autocast: bfloat16 keeps 8 bits, too few for a sum over the vocabulary.
        loss = F.cross_entropy(logits_PV.float(), torch.from_numpy(lines.targets_P).to(self.model.device))
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.losses.append(loss.item())

    @torch.inference_mode()
    def logits(self, lines: Lines) -> NDArray[np.float32]:
        self.model.eval()
        with self.precision():
            logits_PV = predict(self.model, lines)
        result: NDArray[np.float32] = logits_PV.float().cpu().numpy()
        return result

    def precision(self) -> torch.autocast:
        return torch.autocast(self.model.device.type, dtype=torch.bfloat16, enabled=self.config.bf16)

    def save(self, path: Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            # As text: the generator's state is wider than the integers that a safe load takes.
            "rng": json.dumps(self.rng.bit_generator.state),
            "losses": self.losses,
            "options": json.dumps(self.config.resolved()),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        # The digest first, so that a file that was cut off or changed is known before torch reads it.
        write_bytes(path, digest(buffer.getvalue()).encode() + buffer.getvalue())

    def resume(self, path: Path) -> None:
        written = path.read_bytes()
        expected, content = written[:DIGITS], written[DIGITS:]
        if expected != digest(content).encode():
            logger.warning("%s: is not what was written; pretraining starts again", path)
            return
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=self.model.device, weights_only=True)
        if state["options"] != json.dumps(self.config.resolved()):
            raise ConfigError(f"{path}: was written with other options; remove it, or give another --output_dir")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.rng.bit_generator.state = json.loads(state["rng"])
        # Their number is also the number of steps done, from which `run` goes on.
        self.losses = list(state["losses"])
        logger.info("pretrain: goes on at step %d of %d", len(self.losses), self.config.steps)
