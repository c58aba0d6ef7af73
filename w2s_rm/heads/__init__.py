"""How a model scores candidates: one file a head, and in [`HEADS`] all that there are. No torch at import.

Beside them lies what they are made of: tokens (`encoding`, `candidates`, `template_date`), rows (`collation`, `trees`),
how a model reads trees (`attention`), and the arithmetic of scores (`scores`).
"""

from collections.abc import Mapping

from w2s_rm.heads._base import CardWords, Collator, Head
from w2s_rm.heads.classification import Classification
from w2s_rm.heads.lm import Lm
from w2s_rm.heads.reward import Reward
from w2s_rm.heads.steps import Steps

HEADS: Mapping[str, Head] = {head.name: head for head in (Reward(), Classification(), Lm(), Steps())}
"""The heads by the names that recipes know."""

__all__ = ["HEADS", "CardWords", "Collator", "Head"]
