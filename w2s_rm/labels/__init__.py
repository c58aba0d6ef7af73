"""Transforms of weak labels: one frozen dataclass per file, its fields are the recipe's options."""

from w2s_rm.labels._apply import TransformCount, check_transforms, transform_labels
from w2s_rm.labels._base import Evidence, LabelTransform

__all__ = ["Evidence", "LabelTransform", "TransformCount", "check_transforms", "transform_labels"]
