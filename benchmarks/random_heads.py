"""How much of a reward-modeling task a pretrained model knows already: the accuracy of heads that nobody has trained.

    python -m benchmarks.random_heads RECIPE [--runs runs] [--heads 200] [--pairs 600]

After `w2s-rm run RECIPE`. A head is a direction in the hidden states, here drawn at random, and it ranks the two
candidates of each test pair. Where each direction ranks about half of the pairs rightly, a student has something to
learn from its labels; where each ranks nearly all rightly or nearly all wrongly, labels only have to tell it a sign.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from w2s_rm.data.examples import read_examples
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.heads import HEADS


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="of reward modeling, with a strong model that is pretrained in it")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where it was run (default: %(default)s)")
    parser.add_argument("--heads", type=int, default=200, help="how many to draw (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=600, help="most test pairs (default: %(default)s)")
    return parser.parse_args()


def differences(model_folder: Path, test_file: Path, pairs: int) -> torch.Tensor:
    """Hidden states at the last token, of the right candidate minus the wrong one: a row for each pair."""
    examples = read_examples(test_file)[:pairs]
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    encoded = HEADS["reward"].encode(tokenizer, examples, None)
    model = AutoModelForSequenceClassification.from_pretrained(model_folder, num_labels=1).base_model.eval()
    rows = [row.prompt_ids + candidate for row in encoded for candidate in row.candidate_ids]
    with torch.no_grad():
        last = [model(input_ids=torch.tensor([row])).last_hidden_state[0, -1] for row in rows]
    first, second = torch.stack(last).view(len(examples), 2, -1).unbind(1)
    signs = torch.tensor([1.0 if example.gold == 0 else -1.0 for example in examples])
    return signs[:, None] * (first - second)


def main() -> None:
    arguments = parse_arguments()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    stages = make_plan(load_recipe(arguments.recipe, ()), arguments.runs).stages
    (pretrained,) = [stage.folder for stage in stages if (stage.kind, stage.part) == ("pretrain", "strong")]
    (prepared,) = [stage.folder for stage in stages if stage.kind == "prepare"]
    rows_ND = differences(pretrained / "model", prepared / "examples" / "test.parquet", arguments.pairs)
    heads_DH = torch.randn(rows_ND.shape[1], arguments.heads, generator=torch.Generator().manual_seed(0))
    right_H = (rows_ND @ heads_DH > 0).double().mean(dim=0)
    print(f"{arguments.heads} random heads on {len(rows_ND)} test pairs of {arguments.recipe}")
    print(f"accuracy: mean {right_H.mean():.1%}, standard deviation {100 * right_H.std():.1f} points")
    high, low = (part_H.double().mean() for part_H in (right_H > 0.8, right_H < 0.2))
    print(f"above 80 %: {high:.0%} of the heads; below 20 %: {low:.0%}")


if __name__ == "__main__":
    main()
