"""What the report says about trials, as elements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from w2s_rm.metrics.trials import FEW, visible_difference
from w2s_rm.render.elements import Block, Bullets, Heading, Table
from w2s_rm.render.numbers import percent
from w2s_rm.report.tuning.rows import TrialRow, by_model, role_name, trials_by_run, values_text
from w2s_rm.roles import TRAINED

_HEADER = ("Run", "Model", "Chosen by", "Chosen", "Trials", "Loss", "Agreement %", "Accuracy %", "Within the noise")
_HOW_TO_READ = (
    "Each model is one of several trials, the one whose scores fit the labels of the validation split best: the lowest "
    "cross-entropy at the temperature at which it is lowest, with the truth for weak model and ceiling, with the "
    "supervisor's labels for students. Nothing is read here of what a trial that was not chosen says of test "
    "examples; with evaluations during training its log and its curve hold that too.",
    "Loss, agreement with those labels and accuracy are means over seeds, of the chosen trials and, in brackets, from "
    "the lowest to the highest of all trials and seeds. Accuracy is by the truth of the validation split, for "
    "reference: it chose nothing where labels did.",
    "Within the noise are the other trials that do not fit visibly worse than the chosen one: the 95 % interval of "
    "their paired difference reaches 0. Which of these is best, validation does not say.",
)


def tuning_blocks(rows: Sequence[TrialRow]) -> list[Block]:
    """Compose the section about trials.

    Args:
        rows (`Sequence[TrialRow]`): Rows of any number of runs, at least one.
    """
    lines = tuple(_line(group) for group in by_model(rows))
    return [Heading("Tuning", 2), Table(_HEADER, lines, n_text=4), Bullets(_HOW_TO_READ)]


def tuning_warnings(rows: Sequence[TrialRow]) -> list[str]:
    """Say where models had more trials than others, and where few examples chose.

    Args:
        rows (`Sequence[TrialRow]`): Rows of any number of runs.
    """
    sentences = []
    for own in trials_by_run(rows):
        recipe = own[0].recipe
        # What was trained once had one trial.
        numbers: dict[int, dict[str, None]] = {1: dict.fromkeys(own[0].untuned)} if own[0].untuned else {}
        for row in own:
            # PGR compares these three; others, such as members of ensembles, may have had more trials or fewer.
            if row.of in TRAINED:
                numbers.setdefault(row.trials, {})[model_name(row)] = None
        if len(numbers) > 1:
            each = "; ".join(f"{number} for {_listed(tuple(names))}" for number, names in sorted(numbers.items()))
            sentences.append(f"{recipe}: not all models were chosen from as many trials: {each}.")
        # Seeds may draw the split anew, of the same size.
        n = own[0].n_validation
        if n < FEW:
            sentences.append(
                f"{recipe}: {n} validation examples chose among the trials: a difference below "
                f"{percent(visible_difference(n))} points is noise where trials choose differently on 10 % of them."
            )
    return sentences


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def model_name(row: TrialRow) -> str:
    """Name the model that was chosen.

    Args:
        row ([`TrialRow`]): One of its trials.
    """
    name = role_name(row.of, row.method)
    return f"{name} {row.number}" if row.number > 1 else name


def _line(group: Sequence[TrialRow]) -> tuple[str, ...]:
    chosen = [row for row in group if row.chosen]
    others = [row for row in group if not row.chosen]
    # Each is compared with the chosen one of its own seed.
    close = sum(row.behind <= row.behind_half_width for row in others)
    known = [row.validation_accuracy for row in chosen if row.validation_accuracy is not None]
    accuracies = [row.validation_accuracy for row in group if row.validation_accuracy is not None]
    return (
        group[0].recipe,
        model_name(group[0]),
        group[0].chosen_by,
        _counted(values_text(row.values) for row in chosen),
        str(group[0].trials),
        _spread([row.validation_loss for row in chosen], [row.validation_loss for row in group], "{:.4f}".format),
        _spread([row.validation_agreement for row in chosen], [row.validation_agreement for row in group], percent),
        _spread(known, accuracies, percent),
        f"{close} of {len(others)}",
    )


def _counted(texts: Iterable[str]) -> str:
    """Each text once, with the number of seeds where it is not the same for all."""
    counts = Counter(texts)
    return "; ".join(f"{text} ({number}×)" if len(counts) > 1 else text for text, number in counts.items())


def _spread(chosen: Sequence[float], all_of: Sequence[float], text: Callable[[float], str]) -> str:
    if not chosen:
        return "–"
    return f"{text(fmean(chosen))} [{text(min(all_of))}, {text(max(all_of))}]"
