"""Best of n: sample n answers, keep the one that a reward model trained on weak labels likes best. Nothing is trained.

accelerate launch --cpu --num_processes 1 examples/best_of_n.py

On your own models and prompts (the prompts of the test split are answered):

accelerate launch --num_processes 1 examples/best_of_n.py --model_name_or_path Qwen/Qwen3-0.6B \\
    --reward_model_path runs/stages/student-0123456789ab/model --dataset_name trl-lib/ultrafeedback_binarized
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from common import SamplingArguments, load, parse, say, worth

from w2s_rm.programs.launched import run_main

WORLD = {"max_completion_length": 2}
N = (1, 2, 4, 8, 16)


def main(argv: Sequence[str]) -> None:
    """Pick the best of more and more answers and say what they are worth."""
    arguments, _, model = parse(argv, SamplingArguments, None, WORLD)
    start = load(arguments, model, arguments.reward_model_path)
    sampled = start.sample(max(N), arguments.max_completion_length)
    say(f"{len(sampled)} held-out prompts")
    for n in N:
        best = [max(answers[:n], key=lambda answer: answer.reward) for answers in sampled]
        say(f"best of {n:>2}: {worth(best)}, KL at most {math.log(n) - (n - 1) / n:.2f}")


if __name__ == "__main__":
    run_main(main)
