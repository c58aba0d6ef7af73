"""What the page says about its examples, as elements."""

from __future__ import annotations

from collections.abc import Sequence

from w2s_rm.render.elements import Bullets, Examples, Heading, PageBlock, Paragraph
from w2s_rm.report.examples.packing import pack
from w2s_rm.report.examples.rows import RunExamples

_TITLE = "Examples: what does the student get right that its supervisor gets wrong?"
_HOW_TO_READ = (
    "Probabilities are the softmax of a model's scores, or what a file of labels says, and means over the seeds in "
    "whose test split an example is. A model chooses the most probable candidate; by this mean it may be right where "
    "most seeds are wrong, so counts need not be accuracies of the tables. With a tie it chooses none.",
    "The difference of student and supervisor is half the sum of the absolute differences of their probabilities: with "
    "two candidates, how far they are apart on either. Length is in characters, of the prompt and all candidates.",
    "Words that other candidates do not have in this place are marked, unless candidates have little in common.",
)


def example_blocks(runs: Sequence[RunExamples]) -> list[PageBlock]:
    """Compose the section that lets one look through the examples.

    Args:
        runs (`Sequence` of [`RunExamples`]): All runs of the report.
    """
    on_file = [run for run in runs if run.examples]
    absent = [run.recipe for run in runs if not run.examples]
    content: list[PageBlock] = [Heading(_TITLE, 2)]
    if absent:
        content.append(
            Paragraph(f"Without examples, because the test split is no longer on file: {', '.join(absent)}.")
        )
    if not on_file:
        return content
    packed = pack(on_file)
    content += [Paragraph(text) for text in map(_left_out, packed) if text]
    return [*content, Examples(tuple(packed)), Bullets(_HOW_TO_READ)]


def _left_out(run: dict[str, object]) -> str | None:
    if run["shown"] == run["total"]:
        return None
    return (
        f"{run['name']}: the page has room for {run['shown']:,} of {run['total']:,} test examples. They are those on "
        "which a student is right and its supervisor wrong, then those on which no model is right, then the others, of "
        "each kind those first on which a student differs most from its supervisor."
    )
