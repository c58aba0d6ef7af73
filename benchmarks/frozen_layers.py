"""Training the last layers on stored hidden states beside the same training that computes the frozen ones, in turn.

    python -m benchmarks.frozen_layers [--model FOLDER] [--trained 1] [--pairs 128] [--rounds 3] [--cpu-time]

Each round reads what the frozen layers make of the pairs, as the stage `features` does, then trains a model on that,
then one with the same layers frozen in which all are computed. The first round warms up and is not counted. Of both
trainings the time from the first to the last step counts, of which the first goes through all layers in both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import datasets
import torch
import transformers
from transformers import PrinterCallback
from trl import ModelConfig

from benchmarks._measure import Stopwatch
from benchmarks.features import make_examples, timed
from benchmarks.train_step import generated_pairs, make_model
from w2s_rm import W2SRewardConfig, W2SRewardTrainer
from w2s_rm.features.options import TOKENS, column
from w2s_rm.features.store import StoredRows
from w2s_rm.heads import HEADS
from w2s_rm.programs.features import make_reading, make_shards, plan_shards
from w2s_rm.programs.scoring import encode, to_rows
from w2s_rm.training.frozen_layers import FrozenLayers, layers_of
from w2s_rm.training.layouts import choose_layout
from w2s_rm.training.modeling import freeze_all_but, load_model, stage_tokenizer


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder or hub id (default: a random Llama of about 1M parameters)")
    parser.add_argument("--trained", type=int, default=1, help="how many of the last layers (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=128, help="pairs in a round (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="pairs in a step (default: %(default)s)")
    parser.add_argument("--max-length", type=int, default=256, help="most tokens in a row (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default: %(default)s)")
    parser.add_argument("--cpu-time", action="store_true", help="count CPU seconds: for a machine that others use too")
    return parser.parse_args()


class Work:
    """The same pairs, model and options for all that is timed.

    Args:
        arguments (`Namespace`): Of the command.
        folder (`Path`): For what is written.
    """

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.args = W2SRewardConfig(
            str(folder / "out"),
            per_device_train_batch_size=arguments.batch_size,
            per_device_eval_batch_size=arguments.batch_size,
            max_length=arguments.max_length,
            bf16=torch.cuda.is_available(),
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        )
        self.model_args = ModelConfig(model_name_or_path=arguments.model or make_model(folder / "model"))
        self.tokenizer = stage_tokenizer(self.model_args, self.args)
        examples = make_examples(generated_pairs(arguments.pairs))
        encoded = encode("reward_modeling", self.tokenizer, examples, arguments.max_length, "reward")
        self.rows = to_rows(examples, encoded, [(1.0, 0.0)] * len(examples))
        self.clock = time.process_time if arguments.cpu_time else time.perf_counter

    def read(self, place: Path) -> float:
        """Read the frozen layers; return the seconds that it took."""
        model = load_model("reward", self.model_args, self.args, None)
        layout = choose_layout(HEADS["reward"], model, self.args)
        names = [column(-self.arguments.trained, TOKENS)]
        pad = int(self.tokenizer.pad_token_id)
        reading = make_reading(HEADS["reward"], names, self.args, model, layout, self.rows, pad)
        shards = plan_shards(place, self.rows, "frozen", reading.units(self.rows))
        return timed(self.clock, lambda: make_shards(shards, reading, self.rows))

    def train(self, stored: Path | None) -> float:
        """Train the last layers; return the seconds from the first to the last step."""
        model = load_model("reward", self.model_args, self.args, None)
        watch = Stopwatch(self.clock)
        trainer = W2SRewardTrainer(
            model=model,
            args=self.args,
            train_dataset=self.rows,
            processing_class=self.tokenizer,
            callbacks=[watch],
        )
        trainer.remove_callback(PrinterCallback)
        trained = self.arguments.trained
        freeze_all_but("reward", trainer.model, trained)
        if stored is not None:
            count = len(layers_of(trainer.model)[0]) - trained
            trainer.frozen = FrozenLayers(trainer.model, count, StoredRows(stored, column(-trained, TOKENS)))
        trainer.train()
        return watch.seconds


def measure(work: Work) -> None:
    rounds: list[tuple[float, float, float]] = []
    for number in range(work.arguments.rounds + 1):
        place = work.folder / f"round{number}"
        read = work.read(place)
        cached, whole = work.train(place), work.train(None)
        counted = "warm-up" if number == 0 else f"round {number}"
        print(f"{counted}: reading {read:.2f} s, cached {cached:.2f} s, whole {whole:.2f} s", flush=True)
        rounds.append((read, cached, whole))
    ratios = [whole / cached for _, cached, whole in rounds[1:]]
    print(f"cached trains {statistics.median(ratios):.1f} times as fast (min {min(ratios):.1f}, max {max(ratios):.1f})")
    pays = [read / (whole - cached) for read, cached, whole in rounds[1:] if whole > cached]
    if pays:
        print(f"reading pays for itself after {statistics.median(pays):.1f} epochs, of all trainings together")


def main() -> None:
    arguments = parse_arguments()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        measure(Work(arguments, Path(folder)))


if __name__ == "__main__":
    main()
