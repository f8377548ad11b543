"""How a checkpoint was decoded and trained does not decide whether it can be exported."""

import resource

import numpy as np
import pytest

from export.build import build
from export.checkpoint import load_checkpoint
from export.errors import CheckpointError
from export.record import read_record
from export.verification.reference import run_nemo
from tests.export import models
from tests.export.support import NAME, noise, quick_build
from tests.export.test_checkpoint import reconfigured

GONE = "/nowhere/language_model.bin"
DECODINGS = {
    "beam": {"strategy": "beam", "beam": {"beam_size": 4}},
    "beam_with_a_model": {"strategy": "beam", "beam": {"beam_size": 4, "kenlm_path": GONE}},
    "pyctcdecode": {"strategy": "pyctcdecode", "beam": {"kenlm_path": GONE, "beam_alpha": 1.0}},
    "flashlight": {"strategy": "flashlight", "beam": {"flashlight_cfg": {"lexicon_path": GONE}}},
    "beam_batch": {"strategy": "beam_batch", "beam": {"ngram_lm_model": GONE}},
    "wfst": {"strategy": "wfst", "wfst": {"arpa_lm_path": GONE}},
    "of_another_time": {"strategy": "no_such_strategy"},
    "greedy_with_a_model": {"strategy": "greedy_batch", "greedy": {"ngram_lm_model": GONE}},
    "unknown_confidence": {"strategy": "greedy", "confidence_cfg": {"no_such_key": True}},
    "another_axis": {"strategy": "greedy", "batch_dim_index": 1},
    "none": None,
}


@pytest.fixture(scope="module")
def hybrid():
    return models.VARIANTS["character_hybrid"]()


@pytest.fixture(scope="module")
def hybrid_file(hybrid, tmp_path_factory):
    path = tmp_path_factory.mktemp("hybrid") / "hybrid.nemo"
    hybrid.model.save_to(str(path))
    return path


def assert_says_the_same(loaded, checkpoint):
    expected, actual = (run_nemo(model, noise(16000)) for model in (checkpoint, loaded))
    np.testing.assert_array_equal(actual.log_probs, expected.log_probs)
    assert actual.text == expected.text


@pytest.mark.parametrize("decoding", DECODINGS)
def test_a_checkpoint_loads_as_greedy_however_it_was_decoded(
    decoding, quartznet, nemo_file, tmp_path
):
    def change(config):
        config["decoding"] = DECODINGS[decoding]

    path = reconfigured(nemo_file, tmp_path / "given.nemo", change)
    assert_says_the_same(load_checkpoint(str(path)), quartznet)


@pytest.mark.parametrize("decoding", DECODINGS)
def test_a_hybrid_loads_as_greedy_however_it_was_decoded(decoding, hybrid, hybrid_file, tmp_path):
    def change(config):
        config["aux_ctc"]["decoding"] = DECODINGS[decoding]
        config["decoding"] |= {"strategy": "maes", "beam": {"ngram_lm_model": GONE}}

    path = reconfigured(hybrid_file, tmp_path / "given.nemo", change)
    assert_says_the_same(load_checkpoint(str(path)), hybrid)


def test_what_was_left_out_is_told_and_recorded(nemo_file, tmp_path):
    def change(config):
        config["decoding"] = DECODINGS["pyctcdecode"]
        config["preprocessor"]["feat_type"] = "logfbank"

    checkpoint = load_checkpoint(str(reconfigured(nemo_file, tmp_path / "given.nemo", change)))
    decoding, retired = checkpoint.notes
    assert decoding.startswith("decoding.strategy is 'pyctcdecode': left out")
    assert retired.startswith("preprocessor.feat_type = 'logfbank': left out")
    build(checkpoint, quick_build(tmp_path / "repository"))
    assert read_record(tmp_path / "repository", NAME)["checkpoint_notes"] == [decoding, retired]


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("preprocessor", "feat_type", "logfbank"),
        ("encoder", "conv_dual_mode", False),
        ("encoder", "conv_pointwise_type", "conv1d"),
        ("spec_augment", "no_such_key", 1),
    ],
)
def test_a_key_that_changes_nothing_is_left_out(
    section, key, value, quartznet, nemo_file, tmp_path
):
    augmentation = {"_target_": "nemo.collections.asr.modules.SpectrogramAugmentation"}

    def change(config):
        config.setdefault("spec_augment", augmentation)
        config[section][key] = value

    path = reconfigured(nemo_file, tmp_path / "given.nemo", change)
    assert_says_the_same(load_checkpoint(str(path)), quartznet)


def test_every_other_unknown_key_is_named_with_what_to_do(nemo_file, tmp_path):
    def change(config):
        config["preprocessor"]["feat_type"] = "mfcc"
        config["encoder"]["attention_gate"] = True
        config["decoder"]["layers"] = 3

    path = reconfigured(nemo_file, tmp_path / "given.nemo", change)
    with pytest.raises(CheckpointError, match="remove the line") as raised:
        load_checkpoint(str(path))
    message = str(raised.value)
    named = ("preprocessor.feat_type = 'mfcc'", "encoder.attention_gate = True", "decoder.layers")
    assert all(key in message for key in named)
    assert "damaged" not in message


def test_a_class_that_nemo_does_not_have_is_named(nemo_file, tmp_path):
    def change(config):
        config["encoder"]["_target_"] = "company.models.OurEncoder"

    path = reconfigured(nemo_file, tmp_path / "given.nemo", change)
    with pytest.raises(CheckpointError, match=r"encoder is of class company\.models\.OurEncoder"):
        load_checkpoint(str(path))


def test_what_nemo_cannot_build_says_why(nemo_file, tmp_path):
    def change(config):
        config["encoder"]["activation"] = "no_such_activation"

    path = reconfigured(nemo_file, tmp_path / "given.nemo", change)
    with pytest.raises(CheckpointError, match=r"cannot build the model .*no_such_activation"):
        load_checkpoint(str(path))


def test_a_temporary_folder_without_room_is_named_and_not_the_file(
    nemo_file, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 15, before[1]))  # as good as a full disk
    try:
        with pytest.raises(CheckpointError, match=f"temporary folder {tmp_path}") as raised:
            load_checkpoint(str(nemo_file))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "set TMPDIR" in str(raised.value)
    assert "damaged" not in str(raised.value)
