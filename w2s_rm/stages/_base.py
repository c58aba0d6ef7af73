"""What a stage is: a frozen dataclass whose fields say what it computes, and which others it reads."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from w2s_rm import catalog, options
from w2s_rm.files import write_yaml
from w2s_rm.roles import INTERMEDIATE, LABELS
from w2s_rm.runs.folder import StageFolder, lock
from w2s_rm.runs.launch import Launch
from w2s_rm.types import content_hash

Made = TypeVar("Made", bound="Reference")
# Ways to mark a field that does not enter the hash: written into the config, for whoever reads it, or not even that.
_RECORDED, _HELD = "recorded", "held"
# And one that enters it only where it says something.
_EXTRA = "extra"


def recorded(default: Any = dataclasses.MISSING) -> Any:
    """Declare a field that stands in a stage's config, but changes no result.

    Args:
        default (`Any`, *optional*): The field's default; without one it must be given.
    """
    return field(default=default, metadata={"enters": _RECORDED})


def held(default: Any = dataclasses.MISSING) -> Any:
    """Declare a field that only the process that plans needs.

    Args:
        default (`Any`, *optional*): The field's default; without one it must be given.
    """
    return field(default=default, metadata={"enters": _HELD})


def extra(default: Any) -> Any:
    """Declare a field for something that a stage does besides: at its default the hash is that of a stage without it.

    Args:
        default (`Any`): The field's default, at which nothing is done.
    """
    return field(default=default, metadata={"enters": _EXTRA})


def component(kind: catalog.Kind, default: Mapping[str, Any] | None = None) -> Any:
    """Declare a field that holds the mapping of a component, or a list of these: hashed however it is written.

    Args:
        kind (`str`): Which folder of the package.
        default (`Mapping`, *optional*): The field's default; without one it must be given.
    """
    metadata = {"component": kind}
    return field(metadata=metadata) if default is None else field(default_factory=lambda: default, metadata=metadata)


def enters_config(option: dataclasses.Field[Any]) -> bool:
    """Whether a field of a stage stands in its config.

    Args:
        option (`dataclasses.Field`): The field.
    """
    return option.metadata.get("enters") != _HELD


@dataclass(frozen=True)
class Reference:
    """Something that a stage reads: what another stage makes, or what lies elsewhere.

    Args:
        path (`str`): File, folder or hub id.
        identity (`str`): Identifies the content, whatever the path.
        maker ([`Stage`], *optional*): The stage that makes it.
    """

    path: str
    identity: str
    maker: Stage | None = field(default=None, repr=False)


class Examples(Reference):
    """The examples of one split, a Parquet file."""


class Labels(Reference):
    """Labels of examples, joined by the ids of examples and candidates."""


class Scores(Reference):
    """Scores of a split's examples."""


class Features(Reference):
    """Hidden states of a split's examples under a frozen model, a folder of shards."""


class Model(Reference):
    """A model: a Hugging Face folder or a hub id."""


# Compared and kept in mappings by identity: fields hold mappings, which have no hash.
@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """One unit of work with a folder of its own.

    A subclass in `stages/<kind>.py` adds fields. Those that hold a [`Reference`] say what it reads, and all others but
    the marked ones ([`recorded`], [`held`]) say what it computes: from these come the folder's hash, the config file
    and the order of stages.

    Args:
        runs (`Path`): Where runs are kept.
        launch ([`~w2s_rm.runs.launch.Launch`]): How it is launched.
        of (`str`, *optional*): What the model that it makes or judges is in the experiment, a word of
            [`w2s_rm.roles`].
        method (`str`, *optional*): The method of the recipe that it belongs to; `None` where all share it.
        policy (`str`, *optional*): The way in which a policy is optimised.
        note (`str`, *optional*): Tells it from others of its role in a line of progress.
        part (`str`, *optional*): The part of the recipe that describes its model: `weak`, `strong`, `policy`, or a name
            among its `models`.
        seed (`int`, *optional*): The repetition that it belongs to; `None` where all share it.
        further (`str`, *optional*): The further task that it belongs to; `None` for the recipe's own.
    """

    version: ClassVar[int]
    """Raise it when the same fields give another result."""
    on_all_processes: ClassVar[bool] = False
    """Whether its program takes part in a launch, where it loads a model."""
    trains: ClassVar[bool] = False
    """Whether it makes a model of the experiment, whose role alone names it in a line of progress."""
    judges: ClassVar[bool] = False
    """Whether it measures a model."""
    encodes: ClassVar[bool] = False
    """Whether its model's tokenizer reads examples, and that of whatever scores them later is the same."""
    rewrites: ClassVar[bool] = False
    """Whether its examples have other texts than those that it reads, so that what was read of these is not theirs."""

    runs: Path = held()
    # A training puts into its hash what of the launch changes its steps: `Training.content`.
    launch: Launch = held(Launch())
    # What is a weak model in one recipe may be the ceiling in another: trained once, it serves as both.
    of: str | None = recorded(None)
    method: str | None = held(None)
    policy: str | None = held(None)
    note: str | None = held(None)
    part: str | None = held(None)
    # A stage that leaves something to chance declares its seed anew, and has it in the hash.
    seed: int | None = held(None)
    further: str | None = held(None)

    @property
    def kind(self) -> str:
        """The registered name: that of the file in `w2s_rm/stages`, or of a file elsewhere."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def noun(self) -> str:
        """What names the folder, and the stage in a count of many."""
        return self.kind

    @property
    def root(self) -> Path:
        """Below its `stages` the folder lies."""
        return self.runs

    @property
    def loads_model(self) -> bool:
        """Whether the stage needs a model, and so torch."""
        return True

    @functools.cached_property
    def follows_model(self) -> bool:
        """Whether the stage, or one that it needs, loads a model."""
        return self.loads_model or any(needed.follows_model for needed in self.needs)

    @property
    def reported(self) -> bool:
        """Whether reports look for the stage in its role, even where several roles share one folder."""
        return self.judges or self.of == LABELS

    @property
    def distributed(self) -> bool:
        """Whether the stage runs on all processes of a launch."""
        return self.on_all_processes and self.loads_model

    @functools.cached_property
    def references(self) -> dict[str, Reference]:
        """What the stage reads, by field; those of a field that holds several are numbered."""
        references: dict[str, Reference] = {}
        # A copy, because cached properties are written into the same mapping while it is read.
        for name, value in vars(self).copy().items():
            if isinstance(value, Reference):
                references[name] = value
            elif isinstance(value, tuple):
                references |= {f"{name}.{n}": item for n, item in enumerate(value) if isinstance(item, Reference)}
        return references

    @property
    def needs(self) -> Iterator[Stage]:
        """The stages whose results it reads."""
        # Once each: several fields may read what one stage makes.
        yield from dict.fromkeys(
            reference.maker for reference in self.references.values() if reference.maker is not None
        )

    @functools.cached_property
    def hash(self) -> str:
        """The hash in the folder's name: of all that the result depends on."""
        # Twelve hexadecimal digits: among a million stages the chance that any two share them is one in 560.
        return content_hash(self.kind, self.version, _whole(self.content()), self.inputs, length=12)

    @property
    def folder(self) -> Path:
        """Where the stage writes."""
        return self.root / "stages" / f"{self.noun}-{self.hash}"

    @property
    def inputs(self) -> dict[str, str]:
        """What identifies each thing that the stage reads."""
        return {name: reference.identity for name, reference in self.references.items()}

    def content(self) -> dict[str, Any]:
        """What the result depends on, beside the inputs."""
        entering = {option.name: value for option, value in self._own_fields() if _enters_hash(option, value)}
        return {name: _identified(_plain(self._canonical(name, value))) for name, value in entering.items()}

    def _canonical(self, name: str, value: Any) -> Any:
        """Components as they are hashed: however they are written."""
        kind = self.__dataclass_fields__[name].metadata.get("component")
        if kind is None:
            return value
        if isinstance(value, Mapping):
            return options.canonical(kind, value)
        return [options.canonical(kind, entry) for entry in value]

    def config(self) -> dict[str, Any]:
        """The content of `config.yaml`: all that the program needs, paths of the inputs included."""
        kept = {option.name: value for option, value in self._own_fields() if enters_config(option)}
        paths: dict[str, Any] = {}
        for name, reference in self.references.items():
            field_name, _, number = name.partition(".")
            if number:
                paths.setdefault(field_name, []).append(reference.path)
            else:
                paths[field_name] = reference.path
        # What is `None` is left out, and the program has the default of the field.
        values = {name: _plain(value) for name, value in kept.items() if value is not None}
        return {"stage": catalog.name_of(type(self)), **values, **paths, "inputs": self.inputs, "stage_hash": self.hash}

    @classmethod
    def config_fields(cls) -> Iterator[tuple[str, Any, Any]]:
        """Name, type and default of each field that stands in a config, for a program that parses one.

        A reference stands there as its path, several as a list of them.
        """
        hints = typing.get_type_hints(cls)
        for option in dataclasses.fields(cls):
            annotation = hints[option.name]
            if not enters_config(option):
                continue
            # `HfArgumentParser` of transformers, which reads the config, knows lists and no tuples.
            if typing.get_origin(annotation) is tuple:
                annotation = list[str]
            parts = typing.get_args(annotation) or (annotation,)
            # In a config stands the path of what a reference points to.
            if any(isinstance(part, type) and issubclass(part, Reference) for part in parts):
                annotation = str | None if type(None) in parts else str
            yield option.name, annotation, option.default

    def _own_fields(self) -> Iterator[tuple[dataclasses.Field[Any], Any]]:
        read = {name.partition(".")[0] for name in self.references}
        for option in dataclasses.fields(self):
            # Of references an empty tuple says nothing.
            if option.name not in read and getattr(self, option.name) != ():
                yield option, getattr(self, option.name)

    def made(self, kind: type[Made], part: str) -> Made:
        """Refer to something that the stage makes.

        Args:
            kind (`type`): Which kind of [`Reference`].
            part (`str`): File or folder within the stage's folder.
        """
        # The identity is the maker's hash and not the path, so that a folder of runs may be moved.
        return kind(str(self.folder / part), f"{self.hash}/{part}", self)

    @property
    def cached(self) -> bool:
        """Whether the stage is finished."""
        return StageFolder(self.folder).finished

    @property
    def title(self) -> str:
        """A short description for a progress line."""
        role = None if self.of in (LABELS, INTERMEDIATE) else self.of
        task = None if self.further is None else f"on {self.further}"
        words = [None if self.trains else self.kind, role, self.method, self.policy, self.note, task]
        return " ".join(word for word in words if word) + (f" seed {self.seed}" if self.seed is not None else "")

    def write_config(self) -> Path:
        """Write `config.yaml` into the stage's folder, from which [`command`] runs it.

        Raises:
            InUseError: A live process holds the folder.
        """
        path = self.folder / "config.yaml"
        # A stage that runs reads its config: nobody writes another one under it.
        with lock(self.folder):
            write_yaml(path, self.config())
        return path

    def arguments(self) -> list[str]:
        """Return the program's command-line arguments."""
        return ["--config", str(self.folder / "config.yaml"), "--output_dir", str(self.folder)]

    def launcher(self) -> list[str]:
        """Return what starts the stage's processes: Python, alone or through `accelerate launch`."""
        # Without a model to share out, every process of a launch would do the same work.
        return (self.launch if self.distributed else Launch()).command()

    def command(self) -> list[str]:
        """Return the command that runs the stage alone."""
        name = catalog.name_of(type(self))
        # A file elsewhere is no module of the package.
        program = [name] if name.endswith(".py") else ["-m", f"w2s_rm.stages.{name}"]
        return [*self.launcher(), *program, *self.arguments()]

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process, such as a worker of Ray's, a class from a file is found by its path.
        return _restored, (catalog.name_of(type(self)), vars(self).copy())

    @classmethod
    def describe(cls, config: Mapping[str, Any], words: Callable[[str], str], folder: str) -> str:
        """Describe what the stage made, for a card.

        Args:
            config (`Mapping`): The stage's config.
            words (`Callable[[str], str]`): Describes what lies at a path that the stage read.
            folder (`str`): Name of the stage's folder.
        """
        return folder

    @classmethod
    def run(cls, argv: Sequence[str]) -> None:
        """Do the work: the program behind `python -m w2s_rm.stages.<kind>`.

        Args:
            argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`, and what it takes besides.
        """
        raise NotImplementedError


def _enters_hash(option: dataclasses.Field[Any], value: Any) -> bool:
    mark = option.metadata.get("enters")
    return mark is None or (mark == _EXTRA and value != option.default)


def _restored(name: str, values: dict[str, Any]) -> Stage:
    kind = catalog.lookup("stages", name)
    # Past the constructor: its checks are done, and properties that were cached come along.
    stage: Stage = object.__new__(kind)
    vars(stage).update(values)
    return stage


def _identified(value: Any) -> Any:
    """Plain data in which components that are files stand by their content."""
    if isinstance(value, dict):
        return {
            # A component is named by `name`, however deep in the options it stands.
            key: catalog.identity(item) if key == "name" and isinstance(item, str) else _identified(item)
            for key, item in value.items()
        }
    return [_identified(item) for item in value] if isinstance(value, list) else value


def _whole(value: Any) -> Any:
    """Plain data in which 2.0 epochs are 2."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: Any) -> Any:
    """Data that YAML and JSON can write."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
