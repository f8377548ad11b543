"""int8 encoders: what is quantised and how, and which layers are kept in fp32 because they hurt."""

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, numpy_helper

from export.checkpoint import load_checkpoint
from export.errors import GraphError
from export.graph import IR_VERSION, OPSET, check_graph
from export.precision.feeds import Graphs, audio_feeds, run, tokens
from export.precision.int8 import Int8Options, fewest, quantise_encoder
from export.verification.thresholds import THRESHOLDS
from tests.conftest import PROJECT
from tests.export import models
from tests.export.support import NAME, export, noise

CLIPS = sorted((PROJECT / "demo" / "clips").glob("*.flac"))
UTTERANCES = [noise(n_samples) for n_samples in (16000, 12000, 24000)]
WHATEVER_AGREEMENT = Int8Options(least_agreement=0.0)
"""Random weights leave hardly any margin between tokens: some change with any rounding."""


def ignore(_step):
    pass


@pytest.fixture(scope="session")
def fp32(exported):
    return Graphs.of(exported.repository, NAME, exported.checkpoint.pipeline)


@pytest.fixture(scope="session")
def int8(fp32, tmp_path_factory):
    target = tmp_path_factory.mktemp("int8") / "model.onnx"
    quantise_encoder(fp32, target, UTTERANCES, WHATEVER_AGREEMENT, ignore)
    return target


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A small QuartzNet's graphs."""
    checkpoint = models.quartznet()
    exported = export(checkpoint, tmp_path_factory.mktemp("small") / "repository")
    return Graphs.of(exported.repository, NAME, checkpoint.pipeline)


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The demo model's graphs. It is trained: tokens change where a layer is harmed, not else."""
    checkpoint = load_checkpoint(str(PROJECT / "demo" / "demo.nemo"))
    exported = export(checkpoint, tmp_path_factory.mktemp("demo") / "repository")
    return Graphs.of(exported.repository, NAME, checkpoint.pipeline)


def layers_of(path):
    """Nodes with weights, as (node, whether it reads int8 weights through DequantizeLinear)."""
    graph = onnx.load(path).graph
    producers = {name: node for node in graph.node for name in node.output}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            maker = producers.get(node.input[1])
            if node.input[1] in weights:
                per_head = node.op_type == "MatMul" and len(weights[node.input[1]].dims) > 2
                if not per_head:  # otherwise it is a product of attention
                    yield node, None
            elif maker is not None and maker.op_type == "DequantizeLinear":
                yield node, [weights[name] for name in maker.input]


def activation_zero_points(path):
    graph = onnx.load(path).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    return [weights[n.input[2]] for n in graph.node if n.op_type == "QuantizeLinear"]


def test_every_layer_has_int8_weights_with_a_step_for_each_channel(int8):
    quantised = [parameters for _, parameters in layers_of(int8)]
    assert quantised
    for parameters in quantised:
        weight, step, zero_point = parameters
        assert weight.data_type == TensorProto.INT8
        assert np.prod(step.dims) in weight.dims
        assert np.prod(step.dims) > 1
        assert not numpy_helper.to_array(zero_point).any()


def test_names_axes_and_versions_stay_as_declared(int8, fp32, exported):
    model = onnx.load(int8)
    check_graph(model, exported.checkpoint.pipeline.encoder)
    assert model.ir_version == IR_VERSION
    assert [item.version for item in model.opset_import if item.domain == ""] == [OPSET]
    assert {node.domain for node in model.graph.node} == {""}
    weighted = {node.name for node, _ in layers_of(fp32.encoder)}
    assert weighted <= {node.name for node in model.graph.node}


def test_an_utterance_is_the_same_alone_and_in_a_batch(int8, fp32):
    (batched,) = run(fp32.preprocessor, [batch_feed(UTTERANCES)])
    (together,) = run(fp32.decoder, run(int8, [batched]))
    alone = run(fp32.decoder, run(int8, fp32.features(UTTERANCES)))
    for index, outputs in enumerate(alone):
        frames = int(outputs["log_probs_length"][0, 0])
        difference = np.abs(outputs["log_probs"][0] - together["log_probs"][index, :frames])
        # A rounding in fp32 may move a value to the next int8 step.
        assert np.median(difference) <= 1e-3
        assert difference.max() <= THRESHOLDS["int8"].batch


def batch_feed(utterances):
    lengths = np.array([[len(audio)] for audio in utterances], np.int32)
    (feed,) = audio_feeds([np.concatenate(utterances)])
    return feed | {"audio_signal_length": lengths}


def test_the_features_of_silence_and_of_clipping_come_out_finite(int8, fp32):
    silence, clipped = np.zeros(16000, np.int16), noise(16000, amplitude=10**6)
    for outputs in run(fp32.decoder, run(int8, fp32.features([silence, clipped]))):
        assert np.isfinite(outputs["log_probs"]).all()


def test_activations_are_unsigned_for_cpus(int8):
    assert {point.data_type for point in activation_zero_points(int8)} == {TensorProto.UINT8}


def test_activations_are_signed_around_zero_and_biases_in_fp32_for_tensorrt(fp32, tmp_path):
    options = Int8Options(symmetric_activations=True, least_agreement=0.0)
    target = tmp_path / "model.onnx"
    quantise_encoder(fp32, target, UTTERANCES, options, ignore)
    points = activation_zero_points(target)
    assert {point.data_type for point in points} == {TensorProto.INT8}
    assert not any(numpy_helper.to_array(point).any() for point in points)
    graph = onnx.load(target).graph
    assert TensorProto.INT32 not in {tensor.data_type for tensor in graph.initializer}


def test_the_demo_model_keeps_its_tokens_on_its_clips(demo, tmp_path):
    target = tmp_path / "model.onnx"
    quantised = quantise_encoder(demo, target, clips(CLIPS[::2]), Int8Options(), ignore)
    assert quantised.agreement >= Int8Options().least_agreement
    others = list(demo.features(clips(CLIPS[1::2])))
    expected = tokens(demo.encoder, demo.decoder, others)
    actual = tokens(target, demo.decoder, others)
    equal = sum(int((a == b).sum()) for a, b in zip(expected, actual, strict=True))
    assert equal >= 0.985 * sum(map(len, expected))
    assert target.stat().st_size < 0.4 * demo.encoder.stat().st_size


def clips(paths):
    return [soundfile.read(path, dtype="int16")[0] for path in paths]


def hostile(encoder, target):
    """Make one channel between two convolutions 10,000 times larger, and undo it behind.

    In fp32 that changes nothing; in int8 all other channels there round to zero.
    """
    model = onnx.load(encoder)
    users = {name: node for node in model.graph.node for name in node.input}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for first in model.graph.node:
        second = users.get(first.output[0]) if first.op_type == "Conv" else None
        if second is not None and second.op_type == "Conv" and len(first.input) == 2:
            break
    scale(weights[first.input[1]], (0,), 1e4)
    scale(weights[second.input[1]], (slice(None), 0), 1e-4)
    onnx.save(model, target)
    return first.name, second.name


def scale(tensor, where, factor):
    values = numpy_helper.to_array(tensor).copy()
    values[where] *= factor
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def test_the_layers_that_hurt_and_only_those_are_kept_in_fp32(demo, tmp_path):
    graphs = Graphs(demo.preprocessor, tmp_path / "hostile.onnx", demo.decoder)
    first, second = hostile(demo.encoder, graphs.encoder)
    target = tmp_path / "int8.onnx"
    speech = clips(CLIPS[:4])
    unharmed = quantise_encoder(demo, target, speech, WHATEVER_AGREEMENT, ignore)
    steps = []
    harmed = quantise_encoder(graphs, target, speech, WHATEVER_AGREEMENT, steps.append)
    assert harmed.agreement < unharmed.agreement - 0.2
    assert harmed.kept_in_fp32 == ()
    goal = Int8Options(least_agreement=unharmed.agreement - 0.02)
    mended = quantise_encoder(graphs, target, speech, goal, steps.append)
    assert mended.agreement >= goal.least_agreement
    assert set(mended.kept_in_fp32) == {first, second}
    in_fp32 = {node.name for node, parameters in layers_of(target) if parameters is None}
    assert in_fp32 == {first, second}
    assert {*mended.layers, *mended.kept_in_fp32} == {node.name for node, _ in layers_of(target)}
    assert any(first in step for step in steps)


def test_an_agreement_that_cannot_be_reached_is_refused_and_nothing_written(small, tmp_path):
    target = tmp_path / "model.onnx"
    impossible = Int8Options(least_agreement=1.1)
    with pytest.raises(GraphError, match=r"int8 agrees with fp32 in .* of the frames"):
        quantise_encoder(small, target, UTTERANCES, impossible, ignore)
    assert not list(tmp_path.iterdir())


def test_no_utterances_are_refused(small, tmp_path):
    with pytest.raises(GraphError, match="needs utterances to calibrate on"):
        quantise_encoder(small, tmp_path / "model.onnx", [], Int8Options(), ignore)


def test_a_graph_without_layers_is_refused(small, tmp_path):
    graph = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        encoder (float[batch, 80, T] features, int64[batch, 1] features_length)
          => (float[batch, 80, T] encoded, int64[batch, 1] encoded_length)
        { encoded = Relu(features) encoded_length = Identity(features_length) }""")
    onnx.save(graph, tmp_path / "plain.onnx")
    graphs = Graphs(small.preprocessor, tmp_path / "plain.onnx", small.decoder)
    with pytest.raises(GraphError, match="no layer to quantise"):
        quantise_encoder(graphs, tmp_path / "model.onnx", UTTERANCES, Int8Options(), ignore)


def test_weights_beside_the_graph_are_quantised_in_place(small, tmp_path, monkeypatch):
    encoder, beside = tmp_path / "model.onnx", tmp_path / "model.onnx.data"
    weights = onnx.load(small.encoder)
    onnx.save(weights, encoder, save_as_external_data=True, location=beside.name, size_threshold=0)
    size = beside.stat().st_size
    monkeypatch.setattr("export.graph.MAX_GRAPH_BYTES", 0)
    graphs = Graphs(small.preprocessor, encoder, small.decoder)
    quantise_encoder(graphs, encoder, UTTERANCES, WHATEVER_AGREEMENT, ignore)
    assert sorted(tmp_path.iterdir()) == [encoder, beside]
    assert beside.stat().st_size < 0.5 * size
    expected = tmp_path / "inline.onnx"
    quantise_encoder(small, expected, UTTERANCES, WHATEVER_AGREEMENT, ignore)
    for a, b in zip(
        run(encoder, small.features(UTTERANCES)),
        run(expected, small.features(UTTERANCES)),
        strict=True,
    ):
        assert (a["encoded"] == b["encoded"]).all()


def at_least(least, tried):
    def enough(count):
        tried.append(count)
        return count >= least

    return enough


@pytest.mark.parametrize("most", [1, 2, 3, 7, 16, 17])
def test_the_fewest_that_are_enough_are_found_in_few_tries(most):
    for least in range(1, most + 1):
        tried = []
        enough = at_least(least, tried)
        assert fewest(enough, most) == least
        assert len(tried) == len(set(tried)) <= 2 * np.log2(most) + 2
    assert fewest(lambda _: False, most) is None


def test_the_fewest_of_none_are_none():
    assert fewest(lambda _: True, 0) is None
