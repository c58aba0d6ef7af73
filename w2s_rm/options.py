"""From a mapping to what it describes: `{name: log_confidence, max_weight: 0.5}` -> `LogConfidence(max_weight=0.5)`.

Everything that is wrong with the mapping is found at once: its name, options that do not exist, that are missing, of
another type or out of range; and the same for components inside it, which a field announces in its metadata:
`field(metadata={"component": "supervisors"})`.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from w2s_rm import catalog
from w2s_rm.errors import ConfigError, OptionError, W2SError, join_problems, nearest

Hint = Callable[[str, Sequence[str]], str]
"""Says what an unknown name may have meant, from the name and those that are known."""

_SIMPLE: dict[str, type | tuple[type, ...]] = {
    "int": int,
    # A whole number is a number: nobody writes 1.0 for 1.
    "float": (int, float),
    "bool": bool,
    "str": str,
    "list": list,
    "dict": dict,
    "Mapping": Mapping,
    "None": type(None),
}
_WORDS = {"Mapping": "mapping of keys to values"}


@dataclass(frozen=True)
class Mistake:
    """What is wrong with one option.

    Args:
        path (`tuple[str, ...]`): Keys from the component down to the option; empty for what only the options together
            show.
        text (`str`): What is wrong, and what would be right.
    """

    path: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.text}" if self.path else self.text


def build(kind: catalog.Kind, entry: Mapping[str, Any] | str) -> Any:
    """Build a component.

    Args:
        kind (`str`): Which folder of the package, such as `losses`.
        entry (`Mapping` or `str`): `name` and options; a text is a name.

    Raises:
        ConfigError: All that is wrong.
    """
    made, wrong = _component(kind, entry, nearest)
    _refuse(f"{catalog.singular(kind)} {named(entry).get('name', '')}".rstrip(), wrong)
    return made


def build_options(kind: type, values: Mapping[str, Any], subject: str) -> Any:
    """Build a dataclass of options that is no component of its own.

    Args:
        kind (`type`): The dataclass.
        values (`Mapping`): Options by field.
        subject (`str`): What has these options, for messages.

    Raises:
        ConfigError: All that is wrong.
    """
    made, wrong = _made(kind, values, subject, nearest)
    _refuse(subject, wrong)
    return made


def canonical(kind: catalog.Kind, entry: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return the mapping of a component without what it would be anyway: options at their defaults.

    So what is written out and what is left to the default has one hash.

    Args:
        kind (`str`): Which folder of the package.
        entry (`Mapping` or `str`): `name` and options, without mistakes.
    """
    options = named(entry)
    fields = {option.name: option for option in dataclasses.fields(catalog.lookup(kind, options["name"]))}
    inner = {name: option.metadata["component"] for name, option in fields.items() if "component" in option.metadata}
    written = {name: canonical(inner[name], value) if name in inner else value for name, value in options.items()}
    return {name: value for name, value in written.items() if name == "name" or not _is_default(value, fields[name])}


def _is_default(value: Any, option: dataclasses.Field[Any]) -> bool:
    if is_required(option):
        return False
    default = option.default if option.default_factory is dataclasses.MISSING else option.default_factory()
    # A component may be named by a text or a mapping.
    alike = named(default) if "component" in option.metadata and isinstance(default, str | Mapping) else default
    return bool(value == alike)


def mistakes(kind: catalog.Kind, entry: Mapping[str, Any] | str, hint: Hint = nearest) -> list[Mistake]:
    """Say what is wrong with the mapping of a component.

    Args:
        kind (`str`): Which folder of the package.
        entry (`Mapping` or `str`): `name` and options; a text is a name.
        hint (`Callable`, *optional*): Says what an unknown option may have meant.
    """
    return _component(kind, entry, hint)[1]


def option_mistakes(kind: type, values: Mapping[str, Any], subject: str, hint: Hint = nearest) -> list[Mistake]:
    """Say what is wrong with the options of a dataclass.

    Args:
        kind (`type`): The dataclass.
        values (`Mapping`): Options by field.
        subject (`str`): What has these options, for messages.
        hint (`Callable`, *optional*): Says what an unknown option may have meant.
    """
    return _made(kind, values, subject, hint)[1]


def known_mistakes(
    values: Mapping[str, Any], known: Mapping[str, str], subject: str | None = None, hint: Hint = nearest
) -> list[Mistake]:
    """Say which options do not exist, and which have another type than they should.

    Args:
        values (`Mapping`): Options by name.
        known (`Mapping[str, str]`): Annotations by name.
        subject (`str`, *optional*): What has these options, for messages.
        hint (`Callable`, *optional*): Says what an unknown option may have meant.
    """
    unknown = "unknown option" if subject is None else f"unknown option of {subject}"
    wrong = [
        Mistake((str(name),), f"{unknown}; {hint(str(name), list(known))}") for name in values if name not in known
    ]
    for name, value in values.items():
        problem = type_problem(value, known[name]) if name in known else None
        if problem:
            wrong.append(Mistake((name,), problem))
    return wrong


def named(entry: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return a mapping with `name`, also where only a name was given.

    Args:
        entry (`Mapping` or `str`): From YAML.
    """
    return {"name": entry} if isinstance(entry, str) else dict(entry)


def type_problem(value: Any, annotation: str) -> str | None:
    """Say what is wrong with a value's type, for the plain annotations; `None` if nothing is.

    Args:
        value (`Any`): From YAML.
        annotation (`str`): For example `"float | None"` or `"list[str]"`. Of a mapping only the outside is checked, of
            a list what it holds as well.
    """
    options = _alternatives(annotation)
    # What other annotations allow, the class itself says when it is built.
    if not all(option in _SIMPLE for option, _ in options):
        return None
    # To Python, true is a whole number; to the author of a recipe it is not.
    allowed = [pair for pair in options if pair[0] == "bool" or not isinstance(value, bool)]
    fitting = [inside for option, inside in allowed if isinstance(value, _SIMPLE[option])]
    if not fitting:
        return f"{value!r} is no {_in_words(options)}"
    if not isinstance(value, list) or fitting[0] is None:
        return None
    wrong = [item for item in value if type_problem(item, fitting[0])]
    return f"{', '.join(map(repr, wrong))} in {value!r} is no {_in_words(_alternatives(fitting[0]))}" if wrong else None


def _in_words(options: Sequence[tuple[str, str | None]]) -> str:
    return " or ".join(_WORDS.get(option, option) for option, _ in options if option != "None")


@functools.cache
def _alternatives(annotation: str) -> tuple[tuple[str, str | None], ...]:
    """The parts of a union, each with what stands in its brackets: `list[str] | None` -> `list` of `str`, `None`."""

    def parts(node: ast.expr) -> list[ast.expr]:
        return [*parts(node.left), *parts(node.right)] if isinstance(node, ast.BinOp) else [node]

    # Read and not evaluated: an annotation may name what only type checkers import.
    return tuple(
        (ast.unparse(node.value), ast.unparse(node.slice))
        if isinstance(node, ast.Subscript)
        else (ast.unparse(node), None)
        for node in parts(ast.parse(annotation, mode="eval").body)
    )


def _component(kind: catalog.Kind, entry: Mapping[str, Any] | str, hint: Hint) -> tuple[Any, list[Mistake]]:
    """The component, or `None` and what is wrong."""
    options, known = named(entry), catalog.names(kind)
    name = options.pop("name", None)
    if name is None:
        return None, [Mistake(("name",), f"is missing; known: {', '.join(known)}")]
    if not catalog.knows(kind, str(name)):
        return None, [Mistake(("name",), f"no {catalog.singular(kind)} {name!r}; {nearest(str(name), known)}")]
    try:
        component = catalog.lookup(kind, str(name))
    except ConfigError as error:
        # Only a file of one's own may be broken.
        return None, [Mistake(("name",), str(error))]
    return _made(component, options, f"{catalog.singular(kind)} {name}", hint)


def _made(kind: type, values: Mapping[str, Any], subject: str, hint: Hint) -> tuple[Any, list[Mistake]]:
    """The dataclass, or `None` and what is wrong."""
    fields = {option.name: option for option in dataclasses.fields(kind)}
    # `name:` without anything after it is null in YAML, and as good as missing.
    missing = [name for name, option in fields.items() if is_required(option) and values.get(name) is None]
    wrong = [Mistake((name,), f"is missing; {subject} needs it") for name in missing]
    present = {name: value for name, value in values.items() if name not in missing}
    wrong += known_mistakes(present, {name: _annotation(option) for name, option in fields.items()}, subject, hint)
    # Of a field that has the wrong type already, nothing inside can be read.
    refused = {mistake.path[0] for mistake in wrong}
    inside = [
        Mistake((name, *mistake.path), mistake.text)
        for name, option in fields.items()
        if "component" in option.metadata and name in values and name not in refused
        for mistake in mistakes(option.metadata["component"], values[name], hint)
    ]
    made = None
    # A dataclass that is given what it does not know raises an error of Python's.
    if not wrong:
        try:
            made = kind(**values)
        except OptionError as error:
            wrong = [Mistake((name,), text) for name, text in error.problems.items()]
        except W2SError as error:
            wrong = [Mistake((), str(error))]
        except Exception as error:
            # A file of one's own may raise what it likes.
            wrong = [Mistake((), f"{type(error).__name__}: {error}")]
    return made, [*wrong, *inside]


def _refuse(subject: str, wrong: Iterable[Mistake]) -> None:
    lines = [str(mistake) for mistake in wrong]
    if lines:
        raise ConfigError(join_problems(f"{subject}:", lines))


def _annotation(option: dataclasses.Field[Any]) -> str:
    # Text under `from __future__ import annotations`, which a file of the user's may do without.
    return option.type if isinstance(option.type, str) else inspect.formatannotation(option.type)


def is_required(option: dataclasses.Field[Any]) -> bool:
    """Whether a field of a dataclass must be given.

    Args:
        option (`dataclasses.Field`): The field.
    """
    return option.default is dataclasses.MISSING and option.default_factory is dataclasses.MISSING
