"""How runs came about, as elements: recipe, stages, versions. From what the runs left, for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from w2s_rm.errors import ArtifactError
from w2s_rm.files import parse_yaml
from w2s_rm.render.elements import Code, Heading, PageBlock, Paragraph, Table
from w2s_rm.runs.plan import PlannedStage, Run, display_name, read_json, read_run

_COMMANDS = (
    ("run {}/recipe.yaml", "again; what is finished is not repeated"),
    ("plan {}/recipe.yaml", "the stages, with the command of each"),
    ("report {}", "this page"),
)


def provenance_blocks(run_dirs: Sequence[Path]) -> list[PageBlock]:
    """Compose the section that says how the runs can be had again.

    Args:
        run_dirs (`Sequence[Path]`): Folders of finished runs.

    Raises:
        ArtifactError: A run is not finished or its files are broken.
    """
    content: list[PageBlock] = [Heading("How it was run", 2)]
    for run_dir in run_dirs:
        run = read_run(run_dir)
        content.append(Heading(run.recipe, 3))
        content += [Code(text) for text in _recipe(run_dir / "recipe.yaml")]
        # As from the folder in which `runs/` lies: a path of this machine would help nobody, and change the page's
        # bytes.
        content.append(Code(_commands(f"runs/{run_dir.resolve().name}")))
        content += [Paragraph(text) for text in _versions(run)]
        content.append(_stages(run.stages))
    return content


def _recipe(path: Path) -> list[str]:
    """The recipe as it was run, where it is on file; of paths that are private only the last part."""
    if not path.is_file():
        return []
    try:
        recipe = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ArtifactError(f"{path}: cannot be read as YAML ({error}); run the recipe again") from error
    return [yaml.safe_dump(_public(recipe), sort_keys=False, allow_unicode=True)]


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _public(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_public(item) for item in value]
    if isinstance(value, str) and value.startswith(("/", "~")):
        return display_name(value)
    return value


def _commands(run: str) -> str:
    commands = [(f"w2s-rm {command.format(run)}", what) for command, what in _COMMANDS]
    width = max(len(command) for command, _ in commands)
    return "\n".join(f"{command.ljust(width)}  # {what}" for command, what in commands)


def _versions(run: Run) -> list[str]:
    # Of stages that reports do not read, such as trainings, the folders may be gone.
    manifests = [read_json(path) for stage in run.stages if (path := stage.folder / "manifest.json").is_file()]
    # A run that went on after an upgrade has stages of two versions: all are named.
    packages = sorted({item for manifest in manifests for item in manifest.get("packages", {}).items()})
    revisions = sorted({manifest["code_revision"] for manifest in manifests if manifest.get("code_revision")})
    sentences = []
    if packages:
        sentences.append(f"Packages: {', '.join(f'{name} {version}' for name, version in packages)}.")
    if revisions:
        sentences.append(f"Code: {', '.join(revisions)}.")
    return sentences


def _stages(stages: Sequence[PlannedStage]) -> Table:
    lines = [
        (
            stage.stage,
            stage.of or "–",
            stage.method or "–",
            "–" if stage.seed is None else str(stage.seed),
            f"stages/{stage.folder.name}",
        )
        for stage in stages
    ]
    return Table(("Stage", "Of", "Method", "Seed", "Folder"), tuple(lines), n_text=5)
