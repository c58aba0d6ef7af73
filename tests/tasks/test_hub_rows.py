"""Each task reads its dataset from the hub's files, through the real `load_dataset`, with its own configuration."""

import dataclasses
import logging

import datasets
import pytest
from hub_rows import FORMS

from w2s_rm import catalog

NAMES = catalog.names("tasks")
ON_THE_HUB = [
    name
    for name in NAMES
    for option in dataclasses.fields(catalog.lookup("tasks", name))
    if option.name == "path" and isinstance(option.default, str)
]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Place a dataset where the loader looks for its hub id; what was asked for is returned."""
    asked = []
    load = datasets.load_dataset

    def local(id, config_name=None, *, split, revision, data_dir):
        asked.append((id, revision))
        # Of a folder there are no revisions; all else is done as for the hub.
        return load(str(tmp_path / "hub"), config_name, split=split, data_dir=data_dir, cache_dir=str(tmp_path / "c"))

    monkeypatch.setattr(datasets, "load_dataset", local)

    def place(form):
        form.write(tmp_path / "hub")
        return asked

    return place


def test_every_dataset_of_the_hub_has_rows():
    assert sorted(FORMS) == sorted(ON_THE_HUB)


@pytest.mark.parametrize("name", ON_THE_HUB)
def test_rows_in_the_hubs_form(name, hub, caplog):
    form = FORMS[name]
    asked = hub(form)
    task = catalog.lookup("tasks", name)(**form.options)
    with caplog.at_level(logging.WARNING):
        examples = [task.to_example(row) for row in task.rows()]
    assert asked == [(form.id, form.revision)]
    found = [example.gold if gold is not None else None for example, gold in zip(examples, form.gold, strict=True)]
    assert found == form.gold
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("w2s_rm")]
    assert bool(logged) == bool(form.left_out)
    assert form.left_out in "\n".join(logged)


@pytest.mark.parametrize("name", [name for name in ON_THE_HUB if FORMS[name].folder or FORMS[name].config])
def test_a_pinned_revision_reads_the_same_rows(name, hub):
    form = FORMS[name]
    asked = hub(form)
    task = catalog.lookup("tasks", name)(**form.options, revision="0123abc")
    assert len([task.to_example(row) for row in task.rows()]) == len(form.gold)
    assert asked == [(form.id, "0123abc")]
