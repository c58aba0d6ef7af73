"""add a reward model's rewards to a file of prompts and responses, or choose the best response to each prompt"""

from __future__ import annotations

import argparse
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("model", metavar="MODEL", help="folder or hub id of a reward model")
    text = "JSONL(.gz): a prompt and a response a line, or a list of responses; text or messages"
    parser.add_argument("file", type=Path, metavar="FILE", help=text)
    parser.add_argument("--output", type=Path, metavar="FILE", help="JSONL file (default: standard output)")
    text = "for each prompt only the response with the highest reward, with n and mean_reward"
    parser.add_argument("--best-of-n", action="store_true", help=text)
    parser.add_argument("--prompt-column", default="prompt", metavar="NAME", help="(default: prompt)")
    parser.add_argument("--response-column", default="response", metavar="NAME", help="(default: response)")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="responses in a pass (default: 64)")
    text = "tokens to which rows are cut (default: as in training, where the model's folder says so)"
    parser.add_argument("--max-length", type=int, metavar="N", help=text)


def run(arguments: argparse.Namespace) -> None:
    """Score and write."""
    from w2s_rm.files import write_text
    from w2s_rm.integrations.export import refuse_existing
    from w2s_rm.integrations.responses import best_of_n, read_responses, rewarded, to_jsonl

    if arguments.output is not None:
        refuse_existing(arguments.output)
    asked = read_responses(arguments.file, arguments.prompt_column, arguments.response_column)
    # Mistakes in the file show before a model is loaded.
    from w2s_rm.integrations.rewards import reward_function
    from w2s_rm.integrations.trained_on import warn_of_unknown

    reward = reward_function(arguments.model, batch_size=arguments.batch_size, max_length=arguments.max_length)
    loaded = reward.scorer.loaded
    warn_of_unknown(loaded.trained_on, loaded.path, loaded.tokenizer, asked[0].prompt)
    names = [line.place for line in asked for _ in line.responses]
    prompts = [line.prompt for line in asked for _ in line.responses]
    kwargs = [line.template_kwargs for line in asked for _ in line.responses]
    # All in one call, because batches form within a call: a line of its own would be a batch of one or a few.
    flat = iter(reward.named(prompts, [response for line in asked for response in line.responses], names, kwargs))
    rewards = [[next(flat) for _ in line.responses] for line in asked]
    chosen = best_of_n(asked, rewards, arguments.response_column) if arguments.best_of_n else rewarded(asked, rewards)
    if arguments.output is None:
        print(to_jsonl(chosen), end="")
    else:
        write_text(arguments.output, to_jsonl(chosen))
        print(f"{len(chosen)} lines\n{arguments.output}")
