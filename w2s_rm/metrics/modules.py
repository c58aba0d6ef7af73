"""The metrics as `evaluate` modules that need no network.

In a file of its own because importing `evaluate` takes seconds; the functions behind them need only numpy.
`evaluate.load("accuracy")` fetches code from a hub; these classes are used directly: `Accuracy().compute(...)`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import datasets
import evaluate

from w2s_rm.errors import DataError
from w2s_rm.metrics.accuracy import accuracy
from w2s_rm.metrics.agreement import agreement
from w2s_rm.metrics.calibration import brier_score, expected_calibration_error, negative_log_likelihood
from w2s_rm.metrics.exact_match import exact_matches, no_candidate_share
from w2s_rm.metrics.pgr import pgr_from_predictions
from w2s_rm.types import Predictions

# Without a length: `evaluate` writes what it is given to Arrow by these types, and K may differ from row to row.
_SCORES = datasets.Sequence(datasets.Value("float64"))


class Accuracy(evaluate.Metric):
    """Share of examples whose best-scored candidate is the right one; see [`~w2s_rm.metrics.accuracy.accuracy`].

    `compute(predictions=scores, references=gold)`: `predictions` holds K scores for each example, K may differ.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _info(
            "Argmax accuracy of ragged candidate scores; ties at the top share the credit.",
            {"predictions": _SCORES, "references": datasets.Value("int64")},
        )

    def _compute(self, *, predictions: Any = None, references: Any = None, **_: Any) -> dict[str, Any]:
        return {"accuracy": accuracy(predictions, references)}


class ExactMatch(evaluate.Metric):
    """Share of examples for which the model writes the right candidate; see [`exact_matches`].

    `compute(predictions=greedy, references=gold)`: `predictions` holds the index of the candidate that the model wrote,
    -1 for none of them.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _info(
            "Exact match of greedy answers, and the share of answers that are none of the candidates.",
            {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")},
        )

    def _compute(self, *, predictions: Any = None, references: Any = None, **_: Any) -> dict[str, Any]:
        matches = exact_matches(predictions, references)
        return {"exact_match": float(matches.mean()), "no_candidate": no_candidate_share(predictions)}


class Agreement(evaluate.Metric):
    """Agreement of a student with its supervisor; see [`~w2s_rm.metrics.agreement.agreement`].

    `compute(predictions=student_scores, supervisor=supervisor_scores, references=gold)`, rows in the same order.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _info(
            "Agreement of a student with its supervisor, overall, where it is right and where it is wrong.",
            {"predictions": _SCORES, "supervisor": _SCORES, "references": datasets.Value("int64")},
        )

    def _compute(
        self, *, predictions: Any = None, references: Any = None, supervisor: Any = None, **_: Any
    ) -> dict[str, Any]:
        # Rows stand in one order already, and `agreement` pairs by name.
        ids = [f"row {row}" for row in range(len(predictions))]
        result = agreement(_predictions(ids, predictions, references), _predictions(ids, supervisor, references))
        return {
            "agreement": result.overall,
            "agreement_when_right": result.when_right,
            "agreement_when_wrong": result.when_wrong,
        }


class Calibration(evaluate.Metric):
    """Likelihood, Brier score and expected calibration error; see [`~w2s_rm.metrics.calibration`].

    `compute(predictions=scores, references=gold)`: `predictions` holds K scores for each example, K may differ.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _info(
            "Negative log-likelihood, Brier score and expected calibration error of the softmax of ragged scores.",
            {"predictions": _SCORES, "references": datasets.Value("int64")},
        )

    def _compute(self, *, predictions: Any = None, references: Any = None, **_: Any) -> dict[str, Any]:
        return {
            "negative_log_likelihood": negative_log_likelihood(predictions, references),
            "brier_score": brier_score(predictions, references),
            "expected_calibration_error": expected_calibration_error(predictions, references),
        }


class PerformanceGapRecovered(evaluate.Metric):
    """PGR with its interval; see [`~w2s_rm.metrics.pgr.pgr`].

    `compute(predictions=student_scores, weak=..., ceiling=..., references=gold, ids=..., seeds=...)` in long form: a
    row for each example and seed.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _info(
            "Performance gap recovered (Burns et al. 2023) with a paired interval over examples and seeds.",
            {
                "predictions": _SCORES,
                "weak": _SCORES,
                "ceiling": _SCORES,
                "references": datasets.Value("int64"),
                "ids": datasets.Value("string"),
                "seeds": datasets.Value("int64"),
            },
        )

    def _compute(self, *, predictions: Any = None, references: Any = None, **columns: Any) -> dict[str, Any]:
        # What `evaluate` gathers are rows; which of them make up a seed is a column, and the tables are put together
        # here.
        seeds = columns["seeds"]
        if not len(seeds):
            raise DataError("no rows: add predictions before computing PGR")

        def per_seed(scores: Any) -> list[Predictions]:
            # In one order for all three models, whose seeds are paired by their places.
            return [_of_seed(seed, seeds, columns["ids"], scores, references) for seed in sorted(set(seeds))]

        result = asdict(
            pgr_from_predictions(per_seed(columns["weak"]), per_seed(predictions), per_seed(columns["ceiling"]))
        )
        return {_RENAMED.get(name, name): value for name, value in result.items()}


# Beside the numbers of other metrics, `value` would not say of what.
_RENAMED = {"value": "pgr", "low": "pgr_low", "high": "pgr_high"}


def _info(description: str, features: dict[str, Any]) -> evaluate.MetricInfo:
    return evaluate.MetricInfo(
        description=description, citation="", inputs_description="", features=datasets.Features(features)
    )


def _predictions(ids: list[str], scores: Any, gold: Any) -> Predictions:
    return Predictions(tuple(ids), tuple(map(tuple, scores)), tuple(gold))


def _of_seed(seed: int, seeds: Any, ids: Any, scores: Any, gold: Any) -> Predictions:
    rows = [row for row, other in enumerate(seeds) if other == seed]
    return _predictions([ids[row] for row in rows], [scores[row] for row in rows], [gold[row] for row in rows])
