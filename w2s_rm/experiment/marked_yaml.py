"""YAML with the line of every key, so that an error can point at it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.experiment.secrets import refuse_secrets

KeyPath = tuple[str, ...]


_TAG = "tag:yaml.org,2002:"
# Far more than a recipe has, and reached at once where aliases multiply.
_MOST_PLACES = 100_000
_PLAIN = frozenset(_TAG + kind for kind in ("null", "bool", "int", "float", "str", "seq", "map"))


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as everybody expects it: `1e-4` is a number, a date is text, as in JSON, and so is the key `on`."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        for key, _ in node.value:
            # In YAML 1.1 `on`, `off`, `yes` and `no` are truth values, as keys too.
            if key.tag == f"{_TAG}bool":
                key.tag = f"{_TAG}str"
        return node


_Loader.add_implicit_resolver(
    f"{_TAG}float",
    # YAML 1.1 wants a point and a sign in the exponent, and PyYAML reads `1e-4` as text.
    re.compile(r"^[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


@dataclass(frozen=True)
class MarkedYaml:
    """A parsed YAML mapping and where its keys stand.

    Args:
        source (`str`): File name, for messages.
        data (`dict[str, Any]`): The content.
        lines (`dict[KeyPath, str]`): For each path of keys, and of numbers in lists, the place: `"line 7"` or `"command
            line"`.
    """

    source: str
    data: dict[str, Any]
    lines: dict[KeyPath, str]

    def place(self, path: KeyPath) -> str:
        """Return the place of a key, or of its nearest parent that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, "line 1")


def parse_value(text: str) -> Any:
    """Parse one value of a `key=value` override as YAML.

    Args:
        text (`str`): What stands after the equals sign.

    Raises:
        ConfigError: It is no YAML value.
    """
    return _parsed(text, f"command line: {text!r:.300} is no YAML value: ", {})


def load_marked(path: Path, overrides: list[str], replacing: MarkedYaml | None = None) -> MarkedYaml:
    """Read a YAML mapping and replace values in it; a key with dots reaches inside, `null` removes it.

    Args:
        path (`Path`): The file.
        overrides (`list[str]`): For example `["strong.train.learning_rate=1e-5", "seeds=[0]"]`; they come last.
        replacing ([`MarkedYaml`], *optional*): Values from another file, by such keys.

    Raises:
        ConfigError: No such file, no YAML (with line and column), keys given twice, no mapping, an override without
            `=`, or somebody's secret key.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such recipe; give a YAML file")
    lines: dict[KeyPath, str] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no UTF-8 text (byte {error.start}); save it as UTF-8") from error
    data = _parsed(text, f"{path}: does not parse: ", lines)
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of keys to values")
    replacing = replacing or MarkedYaml("", {}, {})
    for key, value in replacing.data.items():
        path_of_key = _path(key, data)
        place = f"{replacing.source}: {replacing.place((key,))}"
        _put(path_of_key, _without_sharing(value), data, lines, place, key)
        lines |= {
            (*path_of_key, *below): f"{replacing.source}: {line}"
            for (first, *below), line in replacing.lines.items()
            if first == key
        }
    # Last, so that the command line has the last word, also over what a suite puts into its recipes.
    for override in overrides:
        key, equals, text = override.partition("=")
        path_of_key = _path(key, data)
        if not equals or not all(path_of_key):
            raise ConfigError(
                f"command line: {override!r} is no override; write key=value, for example train.num_train_epochs=2"
            )
        _put(path_of_key, parse_value(text), data, lines, "command line", override)
    # Behind the overrides, which may hold one as well.
    refuse_secrets(str(path), data)
    return MarkedYaml(str(path), data, lines)


def _parsed(text: str, heading: str, lines: dict[KeyPath, str]) -> Any:
    """Parse YAML and note the line of every key; what is wrong stands below the heading.

    The value is a copy, in which an anchor and its aliases are no longer one object: an override changes one place.
    """
    try:
        # Nodes first and values after them, for only nodes know their lines.
        node = yaml.compose(text, Loader=_Loader)
        problems = [] if node is None else list(_mark(node, (), lines))
        if problems:
            raise ConfigError(join_problems(f"{heading.removesuffix(' ')}", problems))
        # A loader without text, for the nodes are there.
        return None if node is None else _without_sharing(_Loader("").construct_document(node))
    except yaml.YAMLError as error:
        raise ConfigError(f"{heading}{_cause(error)}") from error
    except RecursionError as error:
        deep = "values stand too deep in each other, or an alias stands inside its own anchor; write them out"
        raise ConfigError(f"{heading}{deep}") from error


def _cause(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return f"{where} ({error.context} from line {error.context_mark.line + 1})" if error.context_mark else where


def _mark(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, str]) -> Iterator[str]:
    """Note the line of every key below a node; yield what a recipe cannot hold."""
    if len(lines) > _MOST_PLACES:
        raise yaml.YAMLError(f"aliases of aliases make more than {_MOST_PLACES} values; write out what is meant")
    place = ": ".join(filter(None, (f"line {node.start_mark.line + 1}", ".".join(path))))
    # A safe loader, too, makes sets, bytes and dates of their tags, which neither JSON nor a config could hold.
    if node.tag not in _PLAIN:
        yield f"{place}: tag {node.tag.replace(_TAG, '!!')} has no place here; write a plain value"
    elif isinstance(node, yaml.ScalarNode) and (problem := _scalar_problem(node)):
        yield f"{place}: {problem}"
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            here = (*path, str(number))
            lines[here] = f"line {item.start_mark.line + 1}"
            yield from _mark(item, here, lines)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        line = f"line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            yield f"{line}: a key is one word, not a list or a mapping"
            continue
        here = (*path, str(key.value))
        if problem := _scalar_problem(key):
            yield f"{line}: a key: {problem}"
        # PyYAML takes the last of equal keys and says nothing.
        if here in lines:
            yield f"{line}: key {'.'.join(here)} stands here and in {lines[here]}; keep one"
            continue
        lines[here] = line
        yield from _mark(value, here, lines)


def _scalar_problem(node: yaml.ScalarNode) -> str | None:
    """Say why a value or key is none: no number in spite of its tag, or nothing that a file could hold."""
    if any("\ud800" <= character <= "\udfff" for character in node.value):
        return f"{node.value!r:.60} holds half of a character, which no file keeps; mend it"
    if node.tag not in _PLAIN:
        return None
    try:
        _Loader("").construct_object(node)
    # What Python's own int and float raise, and the table of words for true and false.
    except (ValueError, KeyError, IndexError):
        return f"{node.value!r:.60} is no {node.tag.removeprefix(_TAG)}; write a number that fits, or quote it as text"
    return None


def _without_sharing(value: Any) -> Any:
    """Copy a value so that an anchor and its aliases are no longer one object: an override changes one place."""
    if isinstance(value, dict):
        return {key: _without_sharing(item) for key, item in value.items()}
    return [_without_sharing(item) for item in value] if isinstance(value, list) else value


def _path(key: str, data: dict[str, Any]) -> KeyPath:
    """Take a key that replaces a value apart at its dots, but for one that has dots and stands in the file."""
    names, inner = key.split("."), data
    for depth, name in enumerate(names):
        rest = ".".join(names[depth:])
        if rest in inner:
            return (*names[:depth], rest)
        if not isinstance(inner.get(name), dict):
            break
        inner = inner[name]
    return tuple(names)


def _put(path: KeyPath, value: Any, data: dict[str, Any], lines: dict[KeyPath, str], place: str, said: str) -> None:
    """Set a value, or remove it, and note where that was said."""
    inner: Any = data
    for depth, name in enumerate(path[:-1], start=1):
        # A key with nothing behind it is null, and may be filled.
        if inner.get(name) is None:
            inner[name] = {}
        inner = inner[name]
        if not isinstance(inner, dict):
            raise ConfigError(f"{place}: {said!r}: {'.'.join(path[:depth])} is a value, it holds no keys")
    if value is None:
        inner.pop(path[-1], None)
    else:
        inner[path[-1]] = value
    # What the file says below this key is gone with its value.
    for below in [other for other in lines if other[: len(path)] == path]:
        del lines[below]
    lines[path] = place
