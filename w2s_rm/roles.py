"""What a model is in an experiment."""

from __future__ import annotations

WEAK = "weak"
"""The supervisor: trained on the ground truth, or what labels in its place."""
STUDENT = "student"
"""The strong model, trained on the supervisor's labels."""
CEILING = "ceiling"
"""The strong model, trained on the ground truth of the student's examples."""
INTERMEDIATE = "intermediate"
"""On the way to one of these: a member of an ensemble, a link of a chain, a head that is trained first."""
LABELS = "labels"
"""Not a model: what students of a method are trained on."""
ZERO_SHOT = "zero_shot"
"""The strong model before any training."""
TRAINED = (WEAK, STUDENT, CEILING)
"""The models of which PGR is made, from the lowest to the highest that is hoped for."""
JUDGED = (*TRAINED, ZERO_SHOT)
"""All whose accuracy on the test split stands in a report."""
