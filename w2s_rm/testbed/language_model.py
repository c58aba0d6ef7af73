"""Trains a Llama-style model from random weights on lines of the world. Imports torch: reach it through `pretraining`.

Shape suffixes: N lines, T words of a line, V words of the vocabulary, D width.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tqdm.auto import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from w2s_rm.testbed.corpus import Corpus
from w2s_rm.testbed.pretraining import Pretraining
from w2s_rm.testbed.world import ANSWER, EOS, JUDGEMENT, PAD, RIGHT, UNK, WRONG, Lines, World

SCORE_HEAD_STD = 0.001


def build_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """Make the tokenizer of a world: one token a word, split at white space.

    Args:
        world (`World`): Gives the vocabulary; the id of a token is the position of its word.
    """
    core = Tokenizer(WordLevel(vocab=world.word_ids, unk_token=UNK))
    core.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token=PAD, eos_token=EOS, unk_token=UNK)


def build_model(config: Pretraining) -> LlamaForCausalLM:
    """Make the model with random weights, which depend on `config.seed` alone.

    Args:
        config (`Pretraining`): Gives the sizes and the vocabulary.
    """
    ids = config.corpus.world.word_ids
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(ids),
                hidden_size=config.hidden_size,
                num_hidden_layers=config.num_hidden_layers,
                num_attention_heads=config.num_attention_heads,
                intermediate_size=config.intermediate_size or 3 * config.hidden_size,
                max_position_embeddings=64,
                pad_token_id=ids[PAD],
                eos_token_id=ids[EOS],
                bos_token_id=None,
                use_cache=False,
            )
        )


def predict(model: LlamaForCausalLM, lines: Lines) -> torch.Tensor:
    """Return the logits of each line's target word, shape `(N, V)`, from the words before it."""
    ids_NT = torch.from_numpy(lines.ids_NT[:, :JUDGEMENT])
    hidden_NTD = model.model(input_ids=ids_NT, attention_mask=None).last_hidden_state
    at_N = torch.from_numpy(lines.target_N) - 1
    return model.lm_head(hidden_NTD[torch.arange(len(at_N)), at_N])


def targets(lines: Lines) -> torch.Tensor:
    """Return the word to predict in each line, shape `(N,)`."""
    return torch.from_numpy(lines.ids_NT[np.arange(len(lines.target_N)), lines.target_N])


def train_language_model(config: Pretraining, output_dir: Path, progress: bool) -> dict[str, float]:
    """Do what [`~w2s_rm.testbed.pretraining.pretrain`] says.

    Args:
        config (`Pretraining`): The options.
        output_dir (`Path`): Where to write the folder.
        progress (`bool`): Show a progress bar.
    """
    started = time.perf_counter()
    model, corpus = build_model(config), config.corpus
    losses = _fit(model, corpus, config, progress)
    # A score head put on later is drawn with this width. At the usual 0.02 it would start out reading the model's
    # judgement, upside down for every other seed, and a student that hardens its own predictions would stay there.
    model.config.initializer_range = SCORE_HEAD_STD
    model.save_pretrained(output_dir)
    build_tokenizer(corpus.world).save_pretrained(output_dir)
    return {
        "loss": float(np.mean(losses[-max(1, len(losses) // 10) :])),
        **measure_knowledge(model, corpus),
        "parameters": float(model.num_parameters()),
        "seconds": time.perf_counter() - started,
    }


def measure_knowledge(model: LlamaForCausalLM, corpus: Corpus) -> dict[str, float]:
    """Ask about every fact in the corpus' wording, both ways round and in both directions.

    Args:
        model (`LlamaForCausalLM`): The model.
        corpus (`Corpus`): Gives the facts, true or not in the corpus, and the wording.

    Returns:
        `dict[str, float]`: See [`~w2s_rm.testbed.pretraining.pretrain`].
    """
    facts_N3 = np.array(list(corpus.world.facts()))
    attribute_N, low_N, high_N = facts_N3.T
    answered, judged = [], []
    for down, high_first in np.ndindex(2, 2):
        first_N, second_N = (high_N, low_N) if high_first else (low_N, high_N)
        right_N, wrong_N = (low_N, high_N) if down else (high_N, low_N)
        ids_NT = corpus.questions(attribute_N, np.full_like(attribute_N, down), first_N, second_N)
        answered.append(_prefers_right(model, corpus.world, ids_NT, right_N, wrong_N))
        judged.append(_judges_right_higher(model, corpus.world, ids_NT, right_N, wrong_N))
    judgements = float(np.mean(judged))
    return {
        "accuracy_answers": float(np.mean(answered)),
        "accuracy_judgements": judgements,
        "known": 2 * judgements - 1,
    }


def _fit(model: LlamaForCausalLM, corpus: Corpus, config: Pretraining, progress: bool) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.steps + 1, pct_start=0.1
    )
    rng = np.random.default_rng([config.seed, 3])
    losses = []
    model.train()
    for _ in tqdm(range(config.steps), desc="pretrain", disable=not progress, leave=False):
        lines = corpus.sample(config.batch_size, rng)
        loss = F.cross_entropy(predict(model, lines), targets(lines))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def _prefers_right(
    model: LlamaForCausalLM, world: World, ids_NT: np.ndarray, right_N: np.ndarray, wrong_N: np.ndarray
) -> np.ndarray:
    lines = Lines(ids_NT, np.full(len(ids_NT), ANSWER))
    logits_NV, entity = _logits(model, lines), world.word_ids["E0"]
    row = np.arange(len(ids_NT))
    return logits_NV[row, entity + right_N] > logits_NV[row, entity + wrong_N]


def _judges_right_higher(
    model: LlamaForCausalLM, world: World, ids_NT: np.ndarray, right_N: np.ndarray, wrong_N: np.ndarray
) -> np.ndarray:
    praise = []
    for answer_N in (right_N, wrong_N):
        lines = Lines(ids_NT.copy(), np.full(len(ids_NT), JUDGEMENT))
        lines.ids_NT[:, ANSWER] = world.word_ids["E0"] + answer_N
        lines.ids_NT[:, ANSWER + 1] = world.word_ids[EOS]
        logits_NV = _logits(model, lines)
        praise.append(logits_NV[:, world.word_ids[RIGHT]] - logits_NV[:, world.word_ids[WRONG]])
    return praise[0] > praise[1]


@torch.inference_mode()
def _logits(model: LlamaForCausalLM, lines: Lines) -> np.ndarray:
    model.eval()
    return predict(model, lines).numpy()
