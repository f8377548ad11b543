"""Changing over between backends: whole configs only, whenever the process dies."""

import os
import stat
from pathlib import Path

import pytest

from export.engine.switch import check_switchable, serving_backend, switch
from export.errors import RepositoryError
from tests.engine.support import ENCODER, PREPROCESSOR, config, contents


@pytest.fixture
def model(repository):
    return repository / ENCODER


def test_a_switch_there_and_back_loses_no_edit(model):
    edited = config(ENCODER, "onnxruntime") + "version_policy { latest { num_versions: 1 } }\n"
    (model / "config.pbtxt").write_text(edited)
    before = contents(model)
    assert switch(model, "tensorrt")
    assert serving_backend(model) == "tensorrt"
    assert switch(model, "onnxruntime")
    after = contents(model)
    assert {name: after[name] for name in before} == before
    assert not switch(model, "onnxruntime")


@pytest.mark.parametrize("renames_before_death", [0, 1])
def test_a_death_on_the_way_leaves_the_old_config_or_the_new(
    model, renames_before_death, monkeypatch
):
    before = (model / "config.pbtxt").read_bytes()
    replace, done = Path.replace, []

    def dying(self, target):
        if len(done) == renames_before_death:
            raise KeyboardInterrupt
        done.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        switch(model, "tensorrt")
    assert (model / "config.pbtxt").read_bytes() == before
    monkeypatch.undo()
    assert switch(model, "tensorrt")
    assert (model / "configs" / "onnxruntime.pbtxt").read_bytes() == before


def test_every_config_that_a_server_could_see_is_whole(model, monkeypatch):
    whole = {config(ENCODER, backend).encode() for backend in ("onnxruntime", "tensorrt")}
    seen, fsync = [], os.fsync

    def looking(descriptor):
        seen.extend(path.read_bytes() for path in model.rglob("*.pbtxt"))
        fsync(descriptor)
        seen.extend(path.read_bytes() for path in model.rglob("*.pbtxt"))

    monkeypatch.setattr(os, "fsync", looking)
    switch(model, "tensorrt")
    assert seen
    assert set(seen) == whole


def test_configs_can_be_read_by_the_servers_user(model):
    switch(model, "tensorrt")
    umask = os.umask(0)
    os.umask(umask)
    mode = stat.S_IMODE((model / "config.pbtxt").stat().st_mode)
    assert mode == 0o666 & ~umask


def test_a_model_without_a_config_for_the_backend_stays(repository):
    model = repository / PREPROCESSOR
    before = contents(model)
    with pytest.raises(RepositoryError, match=r"configs/tensorrt\.pbtxt cannot be read"):
        switch(model, "tensorrt")
    assert contents(model) == before


def test_a_config_of_another_backend_is_refused(model):
    (model / "configs" / "tensorrt.pbtxt").write_text(config(ENCODER, "python"))
    with pytest.raises(RepositoryError, match="is a config of another backend"):
        check_switchable(model, "tensorrt")


def test_a_config_that_names_no_backend_is_refused(model):
    (model / "config.pbtxt").write_text('name: "x"\n')
    with pytest.raises(RepositoryError, match="names no backend"):
        switch(model, "tensorrt")
