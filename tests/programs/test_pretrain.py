"""The stage of pretraining: a finished folder, and one that goes on where it was interrupted."""

import json

import pytest
import yaml

from w2s_rm.corpora.facts import Facts
from w2s_rm.errors import ConfigError
from w2s_rm.programs.pretrain import pretrain
from w2s_rm.training import language_model

TINY = {"corpus": {"name": "facts", "n_entities": 6}, "hidden_size": 16, "steps": 4, "batch_size": 8, "seed": 5}


def arguments(tmp_path, options=TINY, output="stage"):
    config = tmp_path / f"{output}.yaml"
    config.write_text(yaml.safe_dump({"pretrain": options}))
    return ["--config", str(config), "--output_dir", str(tmp_path / output)]


def test_an_interrupted_stage_goes_on_and_leaves_no_checkpoint(tmp_path, monkeypatch):
    pretrain(arguments(tmp_path, output="whole"))
    monkeypatch.setattr(language_model, "CHECKPOINT_SECONDS", 0.0)
    drawn, sample = [], Facts.sample

    def failing(self, n_lines, rng):
        drawn.append(1)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return sample(self, n_lines, rng)

    monkeypatch.setattr(Facts, "sample", failing)
    with pytest.raises(KeyboardInterrupt):
        pretrain(arguments(tmp_path))
    assert {path.name for path in (tmp_path / "stage").iterdir()} == {".lock", "progress.json", "trainer"}
    pretrain(arguments(tmp_path))
    assert len(drawn) == 5
    left = {path.name for path in (tmp_path / "stage").iterdir()}
    assert left == {".lock", "manifest.json", "model", "progress.json"}
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "stage")]
    assert weights[0] == weights[1]
    manifest = json.loads((tmp_path / "stage" / "manifest.json").read_text())
    assert manifest["seed"] == 5 and manifest["counts"]["parameters"] > 0


def test_a_finished_stage_is_not_overwritten(tmp_path):
    pretrain(arguments(tmp_path))
    with pytest.raises(ConfigError, match="is finished"):
        pretrain(arguments(tmp_path))


def test_wrong_options_leave_nothing_behind(tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)corpora: .* did you mean 'corpus'.*step: .* did you mean 'steps'"):
        pretrain(arguments(tmp_path, {"step": 4, "corpora": {}}))
    with pytest.raises(ConfigError, match="no mapping `pretrain`"):
        pretrain(arguments(tmp_path, None))
    assert not (tmp_path / "stage").exists()
