"""Sentiment of tweets, in TweetEval (arXiv 2010.12421): is a tweet positive?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from w2s_rm.tasks._labels import LabelTask
from w2s_rm.tasks._source import Hub, label, label_key, text
from w2s_rm.types import Example, Row

# The dataset's numbers are 0 for negative, 1 for neutral, 2 for positive.
_POSITIVE = {"0": 0, "2": 1, "negative": 0, "positive": 1}


@dataclass(frozen=True)
class TwitterSentiment(LabelTask):
    """Tweets, positive or negative; `rows` leaves out the neutral ones.

    Args:
        path (`str`, *optional*, defaults to `"cardiffnlp/tweet_eval"`): Hub id, file or folder.
    """

    hub: ClassVar[Hub] = Hub("cardiffnlp/tweet_eval", "train+validation+test", config_name="sentiment")
    path: str = hub.id
    example_row: ClassVar[Mapping[str, Any]] = {"text": "The bees are back in the garden, what a joy!", "label": 2}

    def to_example(self, row: Row) -> Example:
        """Turn a row into an example; see [`Task`][w2s_rm.types.Task]."""
        tweet = text(row, "text")
        return self.example(f"{tweet}\nIs this tweet positive?", label(row, "label", _POSITIVE), group=tweet)

    def left_out(self, row: Row) -> str | None:
        """Neutral tweets are in neither class.

        Args:
            row (`Row`): One record.
        """
        return "(neutral)" if label_key(row.values.get("label")) in ("1", "neutral") else super().left_out(row)
