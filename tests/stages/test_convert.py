"""A GGUF file becomes an ordinary folder; needs the package that reads the format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from w2s_rm.errors import ConfigError
from w2s_rm.runs.places import model_version
from w2s_rm.stages import Model, Stage
from w2s_rm.stages.convert import Convert

gguf = pytest.importorskip("gguf")
Run = Callable[[Stage], dict[str, Any]]
WORDS = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁a", "▁b", "c"]
SHAPE = {"width": 32, "inner": 64, "heads": 2}


def write_llama(path: Path, layers: int = 1) -> None:
    """Write a Llama of random weights with a few words."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(SHAPE["width"])
    writer.add_block_count(layers)
    writer.add_feed_forward_length(SHAPE["inner"])
    writer.add_head_count(SHAPE["heads"])
    writer.add_head_count_kv(SHAPE["heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(WORDS))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(WORDS)
    writer.add_token_scores([0.0] * len(WORDS))
    writer.add_token_types([2, 3, 3, *[6] * 256, 1, 1, 1])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    generator = torch.Generator().manual_seed(0)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(f"{name}.weight", torch.randn(*shape, generator=generator).numpy())

    width, inner = SHAPE["width"], SHAPE["inner"]
    add("token_embd", len(WORDS), width)
    add("output_norm", width)
    add("output", len(WORDS), width)
    for layer in range(layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{name}", width, width)
        for name, shape in (("ffn_gate", (inner, width)), ("ffn_up", (inner, width)), ("ffn_down", (width, inner))):
            add(f"blk.{layer}.{name}", *shape)
        for name in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{name}", width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Convert]:
    monkeypatch.setenv("W2S_RM_CACHE", str(tmp_path / "cache"))

    def make(path: Path) -> Convert:
        return Convert(runs=tmp_path / "runs", source=Model(str(path), model_version(str(path), "main")))

    return make


def test_a_file_becomes_a_folder_that_loads_alone(
    convert: Callable[[Path], Convert], run_stage: Run, tmp_path: Path
) -> None:
    write_llama(tmp_path / "small.gguf")
    stage = convert(tmp_path / "small.gguf")
    counts = run_stage(stage)
    assert stage.folder.is_relative_to(tmp_path / "cache") and stage.cached
    model = AutoModelForCausalLM.from_pretrained(stage.model.path, use_safetensors=True)
    assert sum(parameter.numel() for parameter in model.parameters()) == counts["parameters"]
    assert model.dtype == torch.bfloat16 and model.config.num_hidden_layers == 1
    assert "quantization_config" not in model.config.to_dict()
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(len(WORDS), SHAPE["width"], generator=generator)
    torch.testing.assert_close(model.get_input_embeddings().weight.float(), embeddings, rtol=2**-8, atol=0)
    tokenizer = AutoTokenizer.from_pretrained(stage.model.path)
    assert (tokenizer.convert_tokens_to_ids("▁b"), tokenizer.eos_token) == (WORDS.index("▁b"), "</s>")


def test_a_cut_file_is_one_message_and_leaves_nothing(
    convert: Callable[[Path], Convert], run_stage: Run, tmp_path: Path
) -> None:
    write_llama(tmp_path / "small.gguf")
    whole = (tmp_path / "small.gguf").read_bytes()
    (tmp_path / "small.gguf").write_bytes(whole[: len(whole) * 2 // 3])
    stage = convert(tmp_path / "small.gguf")
    with pytest.raises(ConfigError, match=r"small.gguf: is no whole GGUF file \([\d,]+ bytes: .*download it again"):
        run_stage(stage)
    assert not stage.cached and not (stage.folder / "model").exists()


def test_an_architecture_that_transformers_does_not_know_is_one_message(
    convert: Callable[[Path], Convert], run_stage: Run, tmp_path: Path
) -> None:
    writer = gguf.GGUFWriter(tmp_path / "odd.gguf", "unheard_of")
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ConfigError, match="odd.gguf: transformers cannot read this GGUF file: .*unheard_of"):
        run_stage(convert(tmp_path / "odd.gguf"))
