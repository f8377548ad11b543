"""Local attention is NeMo's at any length, in any batch, and costs by the length."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.checkpoint import objections
from export.modules.conformer import ConformerEncoder
from export.precision.feeds import Graphs
from export.precision.int8 import Int8Options, quantise_encoder
from export.repository import graph_path
from tests.export import models
from tests.export.support import NAME, export, noise

WINDOWS = {
    "even": {"att_context_size": [8, 8]},
    "wider to the left": {"att_context_size": [7, 3]},
    "wider to the right": {"att_context_size": [2, 6]},
    "to the left": {"att_context_size": [4, 0]},
    "two frames": {"att_context_size": [2, 2]},
    "a global token": {"att_context_size": [8, 8], "global_tokens": 1},
    "tokens apart": {"att_context_size": [3, 5], "global_tokens": 3, "global_tokens_spacing": 4},
    "separate tokens": {
        "att_context_size": [5, 5],
        "global_tokens": 2,
        "global_tokens_spacing": 7,
        "global_attn_separate": True,
    },
}


@pytest.fixture(scope="module", params=WINDOWS)
def encoder(request):
    """NeMo's encoder without subsampling, attention to distances made to matter."""
    checkpoint = models.variant(
        models.conformer(
            32, 2, 4,
            subsampling_factor=1, self_attention_model="rel_pos_local_attn", xscaling=False,
            **WINDOWS[request.param],
        )
    )  # fmt: skip
    for name, weights in checkpoint.model.encoder.named_parameters():
        if ".linear_pos." in name or ".linear_q." in name or ".linear_k." in name:
            weights.data *= 4
    return checkpoint.model.encoder


def features(frames):
    return torch.randn(1, 80, frames, generator=torch.Generator().manual_seed(frames))


def run_nemo(encoder, values):
    with torch.no_grad():
        return encoder(audio_signal=values, length=torch.tensor([values.shape[2]]))[0]


def around_blocks(encoder):
    w = max(encoder.layers[0].self_attn.att_context_size)
    return sorted({1, 2, w - 1, w, w + 1, 2 * w - 1, 2 * w, 2 * w + 1, 2 * w + 3, 5 * w + 2, 61})


def test_one_utterance_equals_nemo_around_the_borders_of_blocks(encoder):
    ours = ConformerEncoder(encoder, 100).eval()
    for frames in around_blocks(encoder):
        values = features(frames)
        expected = run_nemo(encoder, values)
        actual, _ = ours(values, torch.tensor([[frames]]))
        torch.testing.assert_close(actual, expected, atol=2e-5, rtol=0)


def test_an_utterance_is_the_same_beside_longer_ones_with_anything_in_the_padding(encoder):
    ours = ConformerEncoder(encoder, 100).eval()
    lengths = around_blocks(encoder)
    batch = torch.full((len(lengths), 80, max(lengths)), 7.0)
    for row, frames in zip(batch, lengths, strict=True):
        row[:, :frames] = features(frames)[0]
    together, _ = ours(batch, torch.tensor(lengths).unsqueeze(1))
    for row, frames in zip(together, lengths, strict=True):
        expected = run_nemo(encoder, features(frames))[0]
        torch.testing.assert_close(row[:, :frames], expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("family", ["local", "long"])
def test_no_tensor_grows_faster_than_the_recording(family, tmp_path):
    exported = export(models.small(family), tmp_path / "repository")
    model = onnx.load(graph_path(exported.repository, f"{NAME}_encoder"))
    names = [name for node in model.graph.node for name in node.output]
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    sizes = []
    for frames in (2560, 5120):  # 40 and 80 blocks of 8 encoder frames
        feeds = {
            "features": np.zeros((1, 80, frames), np.float32),
            "features_length": np.array([[frames]]),
        }
        sizes.append([np.size(value) for value in session.run(names, feeds)])
    once, twice = np.array(sizes)
    assert (twice <= 2 * once).all()


def test_no_product_of_attention_is_quantised(tmp_path):
    exported = export(models.small("long"), tmp_path / "repository")
    graphs = Graphs.of(exported.repository, NAME, exported.checkpoint.pipeline)
    options = Int8Options(least_agreement=0.0)
    path = tmp_path / "encoder.onnx"
    layers = quantise_encoder(graphs, path, [noise(16000)], options, lambda _: None).layers
    assert not any("/self_attn/MatMul" in layer for layer in layers)
    assert any("/self_attn/linear_q/MatMul" in layer for layer in layers)


def test_utterances_may_be_longer_than_with_attention_to_all_frames():
    local, full = (models.small(family).contract for family in ("local", "fastconformer"))
    assert local.max_samples > full.max_samples


@pytest.mark.parametrize("window", [[1, 1], [-1, 8], [8, -1]])
def test_windows_with_which_nemo_fails_are_refused(window):
    (objection,) = objections(models.with_changed_attention(window))
    assert f"att_context_size {window}" in objection


def test_adapters_of_attention_with_which_nemo_fails_are_refused():
    encoder = models.fastconformer(32, 1, 4, **models.local_attention(8))
    named = "adapters of attention"
    assert named in "; ".join(objections(models.adapted(encoder, "encoder:mha")))
    assert objections(models.adapted(encoder, "encoder:mha", enabled=False)) == []
    assert objections(models.adapted(encoder, "encoder:linear")) == []
