"""What only a GPU can show, on one card in at most eight minutes: speed, precision, attention, engines, quantisation.

    python -m benchmarks.gpu_check > table.md      # the table of docs/speed.md
    python -m benchmarks.gpu_check --small         # tiny models, on a CPU where there is no GPU: does each part work?
    python -m benchmarks.gpu_check --only matmul "LoRA, 0.5B"

Models have random weights and the shapes of Qwen2.5 of 0.5B and 1.5B, pairs have random tokens, prompts of 64 to 512
and responses of 32 to 256. Each part is a process of its own and writes its row when it is done; one that fails is a
row that says why. Exit code 1 where any failed. A part that a machine cannot do (no GPU, no bitsandbytes) is skipped,
with the reason.

Rate: 6 x parameters without embeddings x useful tokens (a pair's prompt once) in a second of training, 2 x in scoring;
attention is left out. The peak is what one matrix product of bfloat16 reaches in the same run.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BUDGET_S = 480.0
SHAPES: Mapping[str, Mapping[str, int]] = {
    "0.5B": {
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "intermediate_size": 4864,
        "vocab_size": 151936,
    },
    "1.5B": {
        "hidden_size": 1536,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "intermediate_size": 8960,
        "vocab_size": 151936,
    },
    "tiny": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "intermediate_size": 64,
        "vocab_size": 512,
    },
}
LORA: dict[str, Any] = {
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "r": 16,
    "target_modules": "all-linear",
    "task_type": "SEQ_CLS",
}
_HEADS = ("part", "seconds a step", "useful tokens a second", "TFLOP/s", "of the peak", "memory, GiB", "difference", "")
# Beyond these something is wrong, and not rounded: bfloat16 has 8 bits, and scores pass through all layers.
_SCORE_BOUND, _GRADIENT_BOUND = 0.1, 0.1


class Skipped(Exception):
    """Why a part cannot be done on this machine."""


@dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Args:
        shape (`str`): Name of a shape.
        pairs (`int`): In a step.
        longest (`int`): Most tokens of a prompt; a response has at most half of it.
        steps (`int`): Steps; the first two are not counted.
    """

    shape: str
    pairs: int
    longest: int
    steps: int


Result = dict[str, Any]
Part = Callable[[Sizes], Result]


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _needs(gpu: bool = False, package: str | None = None) -> None:
    if gpu and not _cuda():
        raise Skipped("needs a GPU")
    if package is not None and importlib.util.find_spec(package) is None:
        raise Skipped(f"needs the package {package}")


def matmul(sizes: Sizes) -> Result:
    """The rate of one matrix product of bfloat16, the best of ten."""
    import torch

    n, device = (8192, "cuda") if _cuda() else (256, "cpu")
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(12):
        start = _clock()
        for _ in range(10):
            a @ b
        seconds.append((_clock() - start) / 10)
    return {"seconds": min(seconds[2:]), "tflops": 2 * n**3 / min(seconds[2:]) / 1e12, "note": f"{n} x {n}, bfloat16"}


def _clock() -> float:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def pairs(sizes: Sizes, count: int) -> Any:
    """Encoded pairs of random tokens, the same in every process.

    Args:
        sizes ([`Sizes`]): How long they are.
        count (`int`): How many.
    """
    import datasets

    rng, words = random.Random(0), SHAPES[sizes.shape]["vocab_size"]

    def tokens(most: int) -> list[int]:
        return [rng.randrange(3, words) for _ in range(rng.randint(most // 8, most))]

    rows = [
        {
            "id": str(number),
            "prompt_ids": tokens(sizes.longest),
            "candidate_ids": [tokens(sizes.longest // 2) for _ in range(2)],
            "targets": [0.75, 0.25],
        }
        for number in range(count)
    ]
    return datasets.Dataset.from_list(rows)


def _useful(row: Mapping[str, Any]) -> int:
    return len(row["prompt_ids"]) + sum(map(len, row["candidate_ids"]))


def model_of(sizes: Sizes, **loading: Any) -> Any:
    """A reward model of random weights, the same in every process, in float32.

    Args:
        sizes ([`Sizes`]): Its shape.
        loading (`Any`): For its configuration.
    """
    import torch
    from transformers import AutoConfig, Qwen2ForSequenceClassification

    config = AutoConfig.for_model(
        "qwen2", **SHAPES[sizes.shape], num_labels=1, pad_token_id=0, eos_token_id=1, bos_token_id=None
    )
    config._attn_implementation = loading.pop("attention", "sdpa")
    torch.manual_seed(0)
    with torch.device("cuda" if _cuda() else "cpu"):
        return Qwen2ForSequenceClassification(config)


def trainer_of(model: Any, sizes: Sizes, rows: Any, folder: str, callbacks: Sequence[Any] = (), **options: Any) -> Any:
    """The package's trainer over encoded pairs, in bfloat16.

    Args:
        model (`PreTrainedModel`): What is trained.
        sizes ([`Sizes`]): How much.
        rows (`Dataset`): The pairs.
        folder (`str`): To write to.
        callbacks (`Sequence`): Of transformers.
        options (`Any`): Of the trainer.
    """
    from benchmarks._models import byte_tokenizer
    from w2s_rm import W2SRewardConfig, W2SRewardTrainer

    given = {"layout": "shared_prefix", "gradient_checkpointing": False, "learning_rate": 1e-5, **options}
    config = W2SRewardConfig(
        folder,
        per_device_train_batch_size=sizes.pairs,
        per_device_eval_batch_size=sizes.pairs,
        max_steps=sizes.steps,
        max_length=2 * sizes.longest,
        bf16=True,
        use_cpu=not _cuda(),
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        **given,
    )
    return W2SRewardTrainer(
        model=model, args=config, train_dataset=rows, processing_class=byte_tokenizer(), callbacks=list(callbacks)
    )


def training(sizes: Sizes, wrap: Callable[[Any], Any] = lambda model: model, **options: Any) -> Result:
    """Train some steps and measure them.

    Args:
        sizes ([`Sizes`]): How much.
        wrap (`Callable`): Makes of the model what is trained.
        options (`Any`): Of the trainer; `attention` of the model.
    """
    import torch
    from transformers import TrainerCallback

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            times.append(-_clock())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times[-1] += _clock()

    rows = pairs(sizes, sizes.pairs * sizes.steps)
    model = wrap(model_of(sizes, attention=options.pop("attention", "sdpa")))
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(model, sizes, rows, folder, [Clock()], **options)
        outcome = trainer.train()
    if not outcome.training_loss == outcome.training_loss:
        raise ArithmeticError("the loss is no number")
    seconds = statistics.median(times[2:])
    useful = sum(map(_useful, rows)) / sizes.steps
    return {"seconds": seconds, "tokens": useful / seconds, **_rate(6, sizes, useful / seconds), **_memory()}


def _rate(factor: int, sizes: Sizes, tokens: float) -> Result:
    shape = SHAPES[sizes.shape]
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    kept = hidden * shape["num_key_value_heads"] // shape["num_attention_heads"]
    weights = shape["num_hidden_layers"] * (2 * hidden * hidden + 2 * hidden * kept + 3 * hidden * inner)
    return {"tflops": factor * weights * tokens / 1e12}


def _memory() -> Result:
    import torch

    return {"memory": torch.cuda.max_memory_allocated() / 2**30} if torch.cuda.is_available() else {}


def scoring(sizes: Sizes) -> Result:
    """Score in both layouts, and compare."""
    found, result = {}, {}
    rows = pairs(sizes, sizes.pairs * sizes.steps)
    for layout in ("padded", "shared_prefix"):
        with tempfile.TemporaryDirectory() as folder:
            trainer = trainer_of(model_of(sizes), sizes, rows, folder, layout=layout)
            list(trainer.score_rows(rows.select(range(sizes.pairs))))
            start = _clock()
            found[layout] = [score for part in trainer.score_rows(rows) for row in part for score in row.scores]
            seconds = _clock() - start
        tokens = sum(map(_useful, rows)) / seconds
        result = {"seconds": seconds / sizes.steps, "tokens": tokens, **_rate(2, sizes, tokens), **_memory()}
    return {
        **result,
        **_compared("scores", found["padded"], found["shared_prefix"], _SCORE_BOUND),
        "note": "prompt once",
    }


def _apart(what: str, plain: Sequence[float], other: Sequence[float], bound: float) -> Result:
    """The length of the difference of two vectors, relative to the first; too large a one is an error."""
    length = math.dist(plain, other) / math.hypot(*plain)
    if not length <= bound:
        raise ArithmeticError(f"{what} are apart by {length:.2g} of their length, more than {bound}")
    return {"difference": f"{what} {length:.1e}"}


def _compared(what: str, plain: Sequence[float], other: Sequence[float], bound: float) -> Result:
    """The largest difference, in deviations of the plain numbers; too large a one is an error."""
    differences = [abs(a - b) / statistics.pstdev(plain) for a, b in zip(plain, other, strict=True)]
    # The maximum passes over NaN.
    largest = max(differences) if all(map(math.isfinite, differences)) else math.nan
    if not largest <= bound:
        raise ArithmeticError(f"{what} differ by {largest:.2g} of their deviation, more than {bound}")
    return {"difference": f"{what} {largest:.1e}"}


def attention(sizes: Sizes) -> Result:
    """FlexAttention beside SDPA: scores, gradients and speed, both with the prompt once."""
    scores, gradients = {}, {}
    rows = pairs(sizes, sizes.pairs)
    once = Sizes(sizes.shape, sizes.pairs, sizes.longest, 1)
    for name in ("sdpa", "flex_attention"):
        with tempfile.TemporaryDirectory() as folder:
            trainer = trainer_of(model_of(sizes, attention=name), once, rows, folder)
            scores[name] = [score for part in trainer.score_rows(rows) for row in part for score in row.scores]
        if _cuda():
            gradients[name] = _gradients(once, rows, name)
    result = _compared("scores", scores["sdpa"], scores["flex_attention"], _SCORE_BOUND)
    if not _cuda():
        return {**result, "note": "FlexAttention trains on GPUs only"}
    more = _apart("gradients", gradients["sdpa"], gradients["flex_attention"], _GRADIENT_BOUND)
    plain, flex = training(sizes), training(sizes, attention="flex_attention")
    note = f"{plain['seconds'] / flex['seconds']:.2f} times as fast as SDPA"
    return {**flex, "difference": f"{result['difference']}, {more['difference']}", "note": note}


def _gradients(sizes: Sizes, rows: Any, attention: str) -> list[float]:
    """Of one step, those of the first layer's queries, which have passed through all others."""
    from transformers import TrainerCallback

    found: list[float] = []

    class Catch(TrainerCallback):
        def on_pre_optimizer_step(self, *_: Any, **given: Any) -> None:
            found.extend(given["model"].model.layers[0].self_attn.q_proj.weight.grad.float().flatten()[:4096].tolist())

    with tempfile.TemporaryDirectory() as folder:
        trainer_of(model_of(sizes, attention=attention), sizes, rows, folder, [Catch()], max_grad_norm=0.0).train()
    return found


def lora(sizes: Sizes) -> Result:
    """LoRA on all linear layers."""
    from peft import LoraConfig, get_peft_model

    return training(sizes, lambda model: get_peft_model(model, LoraConfig(**LORA)))


def qlora(sizes: Sizes) -> Result:
    """LoRA on weights of four bits."""
    _needs(gpu=True, package="bitsandbytes")
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig

    def quantised(model: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            model.to(torch.bfloat16).save_pretrained(folder)
            how = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16)
            loaded = AutoModelForSequenceClassification.from_pretrained(
                folder, quantization_config=how, num_labels=1, use_safetensors=True
            )
        return get_peft_model(prepare_model_for_kbit_training(loaded), LoraConfig(**LORA))

    return training(sizes, quantised)


def engine(stage: int) -> Part:
    """A training under DeepSpeed, in one process."""

    def part(sizes: Sizes) -> Result:
        os.environ.setdefault("DS_ACCELERATOR", "cuda" if _cuda() else "cpu")
        return training(sizes)

    part.__doc__ = f"ZeRO-{stage} with one process"
    return part


PARTS: Mapping[str, tuple[Part, str, int | None]] = {
    "matmul": (matmul, "0.5B", None),
    "padded, 0.5B": (lambda sizes: training(sizes, layout="padded"), "0.5B", None),
    "prompt once, 0.5B": (training, "0.5B", None),
    "scoring, 0.5B": (scoring, "0.5B", None),
    "FlexAttention, 0.5B": (attention, "0.5B", None),
    "LoRA, 0.5B": (lora, "0.5B", None),
    "QLoRA, 0.5B": (qlora, "0.5B", None),
    "prompt once, 1.5B": (lambda sizes: training(sizes, gradient_checkpointing=True), "1.5B", None),
    "LoRA, 1.5B": (lora, "1.5B", None),
    "ZeRO-2, 0.5B": (engine(2), "0.5B", 2),
    "ZeRO-3, 0.5B": (engine(3), "0.5B", 3),
}
"""What is done, on a model of which shape, and under which stage of ZeRO."""


def sizes_of(shape: str, small: bool) -> Sizes:
    """How much a part computes.

    Args:
        shape (`str`): The shape that it is for.
        small (`bool`): Whether the least will do.
    """
    return Sizes("tiny", 4, 32, 4) if small else Sizes(shape, 16, 512, 8)


def run_part(name: str, small: bool, seconds: float) -> Result:
    """Do a part in a process of its own; whatever goes wrong there is a result.

    Args:
        name (`str`): One of `PARTS`.
        small (`bool`): With a tiny model.
        seconds (`float`): The most that it may take.
    """
    stage = PARTS[name][2]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "result.json"
        command = [sys.executable, "-m", "benchmarks.gpu_check", "--part", name, "--result", str(place)]
        command += ["--small"] if small else []
        if stage is not None:
            command = [*_launcher(stage), *command[1:]]
        log = Path(folder) / "log"
        try:
            with log.open("wb") as file:
                subprocess.run(command, cwd=ROOT, stdout=file, stderr=file, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return {"failed": f"took more than {seconds:.0f} s"}
        if place.is_file():
            return dict(json.loads(place.read_text(encoding="utf-8")))
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return {"failed": said[-1] if said else "said nothing"}


def _launcher(stage: int) -> list[str]:
    config = ROOT / "deepspeed_configs" / f"{'' if _has_gpu() else 'cpu_'}zero{stage}.yaml"
    return [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config), "--num_processes", "1"]


def _has_gpu() -> bool:
    """Whether there is a GPU; asked without torch, which takes its memory."""
    return Path("/dev/nvidia0").exists() or Path("/dev/kfd").exists()


def _do(name: str, small: bool, place: Path) -> None:
    """What the process of a part does."""
    part, shape, _ = PARTS[name]
    try:
        result = part(sizes_of(shape, small))
    except Skipped as reason:
        result = {"skipped": str(reason)}
    # A part that fails must not end the others, whatever a driver or a library raises.
    except Exception as error:
        result = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
    place.write_text(json.dumps(result), encoding="utf-8")


def row(name: str, result: Result, peak: float | None) -> str:
    """A row of the table.

    Args:
        name (`str`): The part.
        result (`dict`): What it measured, or why it did not.
        peak (`float`, *optional*): TFLOP/s of a matrix product, where that was measured.
    """
    reason = next((f"{word}: {result[word]}" for word in ("failed", "skipped") if word in result), None)
    if reason is not None:
        return f"| {name} |{' |' * 6} {reason.replace('|', '/')} |"
    cells = [
        name,
        f"{result['seconds']:.3g}" if "seconds" in result else "",
        f"{result['tokens']:,.0f}" if "tokens" in result else "",
        f"{result['tflops']:.3g}" if "tflops" in result else "",
        f"{result['tflops'] / peak:.1%}" if peak and "tflops" in result else "",
        f"{result['memory']:.1f}" if "memory" in result else "",
        result.get("difference", ""),
        result.get("note", ""),
    ]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Do all parts; print the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="tiny models; does each part work?")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART", default=list(PARTS))
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        _do(arguments.part, arguments.small, arguments.result)
        return 0
    if not arguments.small and not _has_gpu():
        print("error: there is no GPU on this machine; --small tries all parts on a CPU", file=sys.stderr)
        return 2
    print(f"| {' | '.join(_HEADS)} |\n|{' --- |' * len(_HEADS)}", flush=True)
    start, failed = time.monotonic(), 0
    peak: float | None = None
    for name in arguments.only:
        left = float("inf") if arguments.small else BUDGET_S - (time.monotonic() - start)
        result = run_part(name, arguments.small, min(left, 1800.0)) if left > 0 else {"failed": "no time was left"}
        if name == "matmul" and "tflops" in result:
            peak = float(result["tflops"])
        failed += "failed" in result
        print(row(name, result, peak), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
