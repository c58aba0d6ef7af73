"""YAML with the line of every key, so that an error can point at it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from w2s_rm.errors import ConfigError

KeyPath = tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as everybody expects it: `1e-4` is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


@dataclass(frozen=True)
class MarkedYaml:
    """A parsed YAML mapping and where its keys stand.

    Args:
        source (`str`): File name, for messages.
        data (`dict[str, Any]`): The content.
        lines (`dict[KeyPath, str]`): For each path of keys, the place: `"line 7"` or `"command line"`.
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
    """Parse one value of a `key=value` override as YAML."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{text!r} is no YAML value: {error}") from error


def load_marked(path: Path, overrides: list[str]) -> MarkedYaml:
    """Read a YAML mapping and apply `key=value` overrides; a key with dots reaches inside, `null` removes it.

    Args:
        path (`Path`): The file.
        overrides (`list[str]`): For example `["strong.train.learning_rate=1e-5", "seeds=[0]"]`.

    Raises:
        ConfigError: No such file, no YAML (with line and column), a key given twice, no mapping, or an override
            without `=`.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such recipe")
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: does not parse: {error}") from error
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}: a recipe is a mapping of keys to values")
    lines: dict[KeyPath, str] = {}
    _mark(node, (), lines, path)
    loader = _Loader("")
    data = loader.construct_document(node)
    for override in overrides:
        _apply(override, data, lines)
    return MarkedYaml(str(path), data, lines)


def _mark(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, str], source: Path) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        here = (*path, str(key.value))
        line = key.start_mark.line + 1
        if here in lines:
            raise ConfigError(f"{source}: line {line}: key {'.'.join(here)} stands here and in {lines[here]}; keep one")
        lines[here] = f"line {line}"
        _mark(value, here, lines, source)


def _apply(override: str, data: dict[str, Any], lines: dict[KeyPath, str]) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"{override!r} is no override; write key=value, for example train.num_train_epochs=2")
    path = tuple(key.split("."))
    inner: Any = data
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{override!r}: {name} is a value, not a mapping")
    value = parse_value(text)
    if value is None:
        inner.pop(path[-1], None)
    else:
        inner[path[-1]] = value
    lines[path] = "command line"
