"""Verification notices an export that is wrong in one of the ways exports go wrong."""

import numpy as np
import pytest
import torch

from export.errors import RepositoryError
from export.modules.convolutional import TraceableMaskedConv1d, TraceableSqueezeExcite
from export.modules.decoder import Decoder
from export.modules.local_attention import LocalAttention
from export.modules.preprocessor import Preprocessor
from export.modules.recurrent import ProjectedLSTM
from export.modules.subsampling import TraceableMaskedConvSequential
from export.repository import CONFIG_FILE, graph_path
from export.verification.cases import Case
from export.verification.declarations import check_declarations
from tests.export import models
from tests.export.support import NAME, export, noise, problems, verification

CASES = [Case(f"{n} samples", noise(n)) for n in (320, 481, 1600, 16000, 16001, 64000)]


def without_masks(monkeypatch):
    """As NeMo's own exporter leaves the encoder."""

    def forward(self, x, lens):
        return self.conv(x), self.get_seq_len(lens)

    monkeypatch.setattr(TraceableMaskedConv1d, "forward", forward)


def without_masks_in_the_subsampling(monkeypatch):
    def forward(self, x, lengths):
        x = x.unsqueeze(1)
        for layer in self:
            x = layer(x)
            if isinstance(layer, torch.nn.Conv2d) and layer.stride[0] > 1:
                lengths = (lengths - 1).div(layer.stride[0], rounding_mode="trunc") + 1
        return x, lengths

    monkeypatch.setattr(TraceableMaskedConvSequential, "forward", forward)


def with_a_mean_over_the_padding(monkeypatch):
    def forward(self, x, lengths):
        return x * torch.sigmoid(self.fc(x.mean(2))).unsqueeze(2), lengths

    monkeypatch.setattr(TraceableSqueezeExcite, "forward", forward)


def with_attention_to_the_padding(monkeypatch):
    forward = LocalAttention.forward

    def changed(self, query, pad_mask, **others):
        return forward(self, query, torch.zeros_like(pad_mask), **others)

    monkeypatch.setattr(LocalAttention, "forward", changed)


def with_states_from_the_padding(monkeypatch):
    forward = ProjectedLSTM.forward

    def changed(self, x, valid):
        return forward(self, x, torch.ones_like(valid))

    monkeypatch.setattr(ProjectedLSTM, "forward", changed)


def with_a_periodic_window(monkeypatch):
    init = Preprocessor.__init__

    def changed(self, featurizer):
        window = featurizer.window
        featurizer.window = torch.hann_window(featurizer.win_length, periodic=True)
        init(self, featurizer)
        featurizer.window = window

    monkeypatch.setattr(Preprocessor, "__init__", changed)


def with_a_frame_too_few(monkeypatch):
    log_mel = Preprocessor.log_mel

    def changed(self, audio_signal, audio_signal_length):
        features, frames = log_mel(self, audio_signal, audio_signal_length)
        return features, frames - 1

    monkeypatch.setattr(Preprocessor, "log_mel", changed)


def with_statistics_of_the_padded_batch(monkeypatch):
    normalized = Preprocessor._normalized

    def changed(self, features, frames, valid):
        everything = torch.full_like(frames, 1) * features.shape[2]
        return normalized(self, features, everything, torch.ones_like(valid))

    monkeypatch.setattr(Preprocessor, "_normalized", changed)


def with_silence_that_is_not_zero(monkeypatch):
    """As rounding of the mean leaves it; NeMo's own fp32 is further off."""
    normalized = Preprocessor._normalized

    def changed(self, *args):
        features = normalized(self, *args)
        return torch.where(features == 0.0, 0.1, features)

    monkeypatch.setattr(Preprocessor, "_normalized", changed)


def with_tokens_in_the_padding(monkeypatch):
    def forward(self, encoded, encoded_length):
        logits = torch.matmul(encoded.transpose(1, 2), self.weight) + self.bias
        log_probs = torch.log_softmax(logits, dim=-1)
        return log_probs.argmax(dim=-1).to(torch.int32), log_probs, encoded_length.clone()

    monkeypatch.setattr(Decoder, "forward", forward)


def with_logits_for_log_probs(monkeypatch):
    monkeypatch.setattr(torch, "log_softmax", lambda logits, dim: logits + 0 * dim)


@pytest.mark.parametrize(
    ("mutate", "found_in"),
    [
        (without_masks, "batch: max-abs"),
        (with_a_periodic_window, "features: max-abs"),
        (with_a_frame_too_few, "features: max-abs inf"),
        (with_statistics_of_the_padded_batch, "batch: max-abs"),
        (with_tokens_in_the_padding, "batch of 16: transcript"),
        (with_logits_for_log_probs, "log_probs: max-abs"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_graph_is_found(mutate, found_in, quartznet, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        mutate(patch)
        exported = export(quartznet, tmp_path / "repository")
    found = problems(quartznet, exported.graphs, CASES)
    assert any(found_in in problem for problem in found), found


def test_digital_silence_is_judged_more_strictly_than_nemo_rounds(quartznet, tmp_path, monkeypatch):
    with_silence_that_is_not_zero(monkeypatch)
    exported = export(quartznet, tmp_path / "repository")
    silence = Case("digital silence", np.zeros(16000, np.int16))
    (row,) = verification(quartznet, exported.graphs, [silence]).rows
    assert row.log_probs < row.nemo_rounding
    for what in ("features", "log_probs"):
        assert any(problem.startswith(f"{what}: max-abs") for problem in row.problems)


@pytest.mark.parametrize(
    ("mutate", "family"),
    [
        (without_masks_in_the_subsampling, "conformer"),
        (without_masks_in_the_subsampling, "fastconformer"),
        (with_a_mean_over_the_padding, "citrinet"),
        (with_attention_to_the_padding, "local"),
        (with_attention_to_the_padding, "long"),
        (with_states_from_the_padding, "lstm"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_family_without_its_own_masks_is_found(mutate, family, tmp_path, monkeypatch):
    checkpoint = models.small(family)
    mutate(monkeypatch)
    exported = export(checkpoint, tmp_path / "repository")
    found = problems(checkpoint, exported.graphs, CASES)
    assert any("batch: max-abs" in problem for problem in found), found


def test_the_right_graph_passes_the_same_cases(quartznet, tmp_path):
    exported = export(quartznet, tmp_path / "repository")
    assert problems(quartznet, exported.graphs, CASES) == []
    assert list(check_declarations(quartznet, exported.repository, NAME)) == []


def test_a_permuted_vocabulary_is_found_in_contract_and_transcripts(quartznet, tmp_path):
    permuted = models.quartznet(labels=(*models.LABELS[1:], models.LABELS[0]))
    exported = export(permuted, tmp_path / "repository")
    (declared,) = check_declarations(quartznet, exported.repository, NAME)
    assert "contract" in declared
    found = problems(quartznet, exported.graphs, CASES)
    assert any("alone: transcript" in problem for problem in found)


def test_another_checkpoint_of_the_same_shape_is_found(quartznet, tmp_path):
    exported = export(models.quartznet(seed=1), tmp_path / "repository")
    found = problems(quartznet, exported.graphs, CASES)
    assert any("log_probs: max-abs" in problem for problem in found)
    assert any("tokens differ" in problem for problem in found)


def test_graphs_and_configurations_of_another_shape_are_all_named(quartznet, tmp_path):
    exported = export(models.small("jasper"), tmp_path / "repository")
    found = "; ".join(check_declarations(quartznet, exported.repository, NAME))
    for part in ("features has axes", "encoded has axes", "small_decoder's config"):
        assert part in found
    assert "log_probs has axes" not in found  # the same in both


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.write_bytes(b"not a graph"), "cannot be read"),
    ],
    ids=["missing", "damaged"],
)
def test_a_graph_that_cannot_be_read_is_named(damage, message, quartznet, tmp_path):
    exported = export(quartznet, tmp_path / "repository")
    path = graph_path(exported.repository, f"{NAME}_encoder")
    damage(path)
    with pytest.raises(RepositoryError, match=message) as raised:
        list(check_declarations(quartznet, exported.repository, NAME))
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no model 'small'"),
        ("no_such_field: 1", "is not a model configuration"),
        ('name: "small"', "contract is not JSON"),
        ('parameters { key: "contract" value { string_value: "{}" } }', "has version None"),
    ],
)
def test_an_ensemble_without_a_usable_contract_is_refused(text, message, quartznet, tmp_path):
    if text is not None:
        (tmp_path / NAME).mkdir()
        (tmp_path / NAME / CONFIG_FILE).write_text(text)
    with pytest.raises(RepositoryError, match=message):
        list(check_declarations(quartznet, tmp_path, NAME))
