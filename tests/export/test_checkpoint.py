"""Checkpoints that cannot be exported faithfully are refused with the reason."""

import io
import tarfile
from functools import partial

import numpy as np
import pytest
import yaml
from nemo.collections.asr.parts.submodules.subsampling import ConvSubsampling

from export.__main__ import main
from export.build import build
from export.checkpoint import load_checkpoint, objections
from export.errors import CheckpointError
from export.modules import subsampling
from export.verification import random_models
from export.verification.reference import run_nemo
from tests.export import models
from tests.export.support import noise, quick_build

CONFIG = "model_config.yaml"


def members(nemo_file):
    with tarfile.open(nemo_file) as archive:
        files = [member for member in archive.getmembers() if member.isfile()]
        return {member.name: archive.extractfile(member).read() for member in files}


def write_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def config_name(files):
    return next(name for name in files if name.endswith(CONFIG))


def weights_name(files):
    return next(name for name in files if name.endswith(".ckpt"))


def absent(_, path):
    return path


def a_folder(_, path):
    path.mkdir()
    return path


def empty(_, path):
    path.touch()
    return path


def text(_, path):
    path.write_text("not an archive")
    return path


def without_config(good, path):
    files = members(good)
    del files[config_name(files)]
    return write_tar(path, files)


def without_weights(good, path):
    files = members(good)
    del files[weights_name(files)]
    return write_tar(path, files)


def truncated(good, path):
    data = good.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def with_damaged_weights(good, path):
    files = members(good)
    files[weights_name(files)] = b"no weights"
    return write_tar(path, files)


def with_weights_of_another_model(good, path):
    return reconfigured(good, path, lambda config: config["encoder"]["jasper"][0].update(filters=8))


def reconfigured(good, path, change):
    """A copy of ``good`` at ``path`` whose configuration went through ``change``."""
    files = members(good)
    config = yaml.safe_load(files[config_name(files)])
    change(config)
    files[config_name(files)] = yaml.safe_dump(config).encode()
    return write_tar(path, files)


def of_class(target):
    def damage(good, path):
        return reconfigured(good, path, lambda config: config.update(target=target))

    damage.__name__ = str(target).rsplit(".", 1)[-1]
    return damage


ASR_MODELS = "nemo.collections.asr.models"
REFUSED_FILES = [
    (absent, "no checkpoint file"),
    (a_folder, "no checkpoint file .* it is a folder"),
    (empty, "not a .nemo file"),
    (text, "not a .nemo file"),
    (without_config, "has no model_config.yaml"),
    (without_weights, "has no model_weights.ckpt"),
    (truncated, "is damaged"),
    (with_damaged_weights, "weights .* are damaged"),
    (with_weights_of_another_model, "weights .* are not those of the model .* size mismatch"),
    (of_class(f"{ASR_MODELS}.EncDecRNNTModel"), r"holds the model .*EncDecRNNTModel \(exported"),
    (of_class(f"{ASR_MODELS}.EncDecMultiTaskModel"), "holds the model .*EncDecMultiTaskModel"),
    (of_class(None), "its model_config.yaml has no target"),
]


@pytest.mark.parametrize(
    ("damage", "message"), REFUSED_FILES, ids=[damage.__name__ for damage, _ in REFUSED_FILES]
)
def test_a_file_that_holds_no_usable_model_is_refused(damage, message, nemo_file, tmp_path):
    path = damage(nemo_file, tmp_path / "given.nemo")
    with pytest.raises(CheckpointError, match=message) as raised:
        load_checkpoint(str(path))
    assert "fetch" not in str(raised.value) or "damaged" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["no_such_model", "nobody/no_such_model"])
def test_a_pretrained_name_that_cannot_be_fetched_says_what_may_be_given(name):
    with pytest.raises(CheckpointError, match=r"Give the path of a \.nemo file") as raised:
        load_checkpoint(name)
    assert repr(name) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_loaded_file_is_the_model_that_was_saved(quartznet, nemo_file):
    loaded = load_checkpoint(str(nemo_file))
    assert loaded.name == "small"
    assert len(loaded.sha256) == 64
    assert loaded.vocabulary == tuple(models.LABELS)
    assert not loaded.model.training
    expected, actual = (run_nemo(model, noise(16000)) for model in (quartznet, loaded))
    np.testing.assert_array_equal(actual.log_probs, expected.log_probs)


def test_the_hash_tells_files_apart(nemo_file, tmp_path):
    files = members(nemo_file)
    files["note.txt"] = b"another file"
    other = write_tar(tmp_path / "small.nemo", files)
    assert load_checkpoint(str(other)).sha256 != load_checkpoint(str(nemo_file)).sha256


REFUSED_ENCODERS = {
    "conv_mask: false": models.convolutional(models.block(32, 11), conv_mask=False),
    "layer, group or instance normalisation": models.convolutional(
        models.block(32, 11), normalization_mode="layer"
    ),
    "a reduction between its layers": models.fastconformer(
        32, 2, 4, reduction="striding", reduction_position=0, reduction_factor=2
    ),
    "conv_norm_type is 'instance_norm'": models.fastconformer(
        32, 1, 4, conv_norm_type="instance_norm"
    ),
}


@pytest.mark.parametrize("named", REFUSED_ENCODERS)
def test_an_encoder_that_mixes_utterances_is_refused_and_writes_nothing(named, tmp_path):
    checkpoint = models.variant(REFUSED_ENCODERS[named])
    with pytest.raises(CheckpointError, match=named):
        build(checkpoint, quick_build(tmp_path / "repository"))
    assert list(tmp_path.iterdir()) == []


def test_subsampling_with_which_nemo_itself_fails_is_refused():
    (objection,) = subsampling.objections(ConvSubsampling("vggnet", 4, 80, 32, 32))
    assert "subsampling is 'vggnet'" in objection


def test_build_and_inspect_list_every_objection_at_once(tmp_path, capsys):
    encoder = models.convolutional(
        models.block(32, 11), conv_mask=False, normalization_mode="group", norm_groups=4
    )
    features = random_models.preprocessor(80, exact_pad=True, frame_splicing=1)
    checkpoint = models.variant(encoder, features)
    named = ["conv_mask: false", "group or instance normalisation", "exact_pad = True"]
    with pytest.raises(CheckpointError) as raised:
        build(checkpoint, quick_build(tmp_path / "repository"))
    assert all(part in str(raised.value) for part in named)
    checkpoint.model.save_to(str(tmp_path / "given.nemo"))
    assert main(["inspect", "--checkpoint", str(tmp_path / "given.nemo")]) == 1
    printed = capsys.readouterr().err
    assert all(part in printed for part in named)


def test_units_that_are_no_text_are_refused(monkeypatch):
    with_control_units = partial(random_models.write_tokenizer, bos_id=1)
    monkeypatch.setattr(random_models, "write_tokenizer", with_control_units)
    assert "its unit '<s>' as another text" in " ".join(objections(models.small("citrinet")))


@pytest.mark.parametrize("kind", ["wpe", "agg"])
def test_a_tokenizer_of_another_kind_is_refused_before_nemo_restores_it(kind, tmp_path):
    checkpoint = models.small("citrinet")
    checkpoint.model.save_to(str(tmp_path / "good.nemo"))

    def change(config):
        config["tokenizer"]["type"] = kind

    path = reconfigured(tmp_path / "good.nemo", tmp_path / "given.nemo", change)
    with pytest.raises(CheckpointError, match=f"given.nemo .* a tokenizer of type {kind}"):
        load_checkpoint(str(path))


@pytest.mark.parametrize("family", models.SMALL)
def test_every_family_comes_back_from_its_file(family, tmp_path):
    checkpoint = models.small(family)
    checkpoint.model.save_to(str(tmp_path / "saved.nemo"))
    loaded = load_checkpoint(str(tmp_path / "saved.nemo"))
    assert loaded.vocabulary == checkpoint.vocabulary
    assert loaded.vocabulary_kind == checkpoint.vocabulary_kind
    expected, actual = (run_nemo(model, noise(16000)) for model in (checkpoint, loaded))
    np.testing.assert_array_equal(actual.log_probs, expected.log_probs)
    assert actual.text == expected.text
