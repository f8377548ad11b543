"""LSTM encoders are NeMo's at any length and in any batch, their recurrence one node in fp32."""

import onnx
import pytest
import torch
from onnx import TensorProto

from export.modules.recurrent import RecurrentEncoder
from export.precision.feeds import Graphs
from export.precision.fp16 import convert_to_fp16
from export.repository import graph_path
from tests.export import models
from tests.export.support import NAME, export, noise

ENCODERS = {
    "both directions": models.lstm(40, 2, 24),
    "one direction": models.lstm(40, 2, 24, bidirectional=False, subsampling="striding"),
    "without subsampling": models.lstm(40, 1, 24, subsampling_factor=1),
    "stacking and a norm": models.lstm(40, 1, 24, subsampling="stacking_norm"),
}


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request):
    return models.variant(ENCODERS[request.param]).model.encoder


def test_a_batch_with_anything_in_the_padding_equals_nemo_on_each_alone(encoder):
    lengths = [1, 2, 3, 4, 5, 7, 8, 9, 40, 61]
    batch = torch.full((len(lengths), 80, max(lengths)), 7.0)
    for row, frames in zip(batch, lengths, strict=True):
        row[:, :frames] = torch.randn(80, frames, generator=torch.Generator().manual_seed(frames))
    together, encoded = RecurrentEncoder(encoder).eval()(batch, torch.tensor(lengths).unsqueeze(1))
    for row, values, frames, length in zip(together, batch, lengths, encoded, strict=True):
        with torch.no_grad():
            expected, (count,) = encoder(
                audio_signal=values[None, :, :frames], length=torch.tensor([frames])
            )
        assert length == count
        torch.testing.assert_close(row[:, :count], expected[0], atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    repository = tmp_path_factory.mktemp("lstm") / "repository"
    export(models.small("lstm"), repository)
    return Graphs(*(graph_path(repository, f"{NAME}_{role}") for role in ("preprocessor", *GRAPHS)))


GRAPHS = ("encoder", "decoder")


def scans(path):
    return [node for node in onnx.load(path).graph.node if node.op_type == "Scan"]


def test_each_direction_of_each_layer_is_one_scan_that_holds_its_weights(graphs):
    assert [node.name.split("/")[1:4] for node in scans(graphs.encoder)] == [
        [f"layers.{layer}", f"directions.{direction}", "ProjectedLSTM"]
        for layer in (0, 3)
        for direction in (0, 1)
    ]
    model = onnx.load(graphs.encoder)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 17)]
    assert not any("recurrent" in tensor.name for tensor in model.graph.initializer)


def test_a_recurrence_stays_in_fp32(graphs, tmp_path):
    feeds = list(graphs.features([noise(16000), noise(16000, 30000)]))
    kept = convert_to_fp16(graphs.encoder, tmp_path / "encoder.onnx", feeds)
    assert {node.name for node in scans(graphs.encoder)} <= set(kept)
    for node in scans(tmp_path / "encoder.onnx"):
        weights = node.attribute[0].g.initializer
        assert TensorProto.FLOAT16 not in {tensor.data_type for tensor in weights}
