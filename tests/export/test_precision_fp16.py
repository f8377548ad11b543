"""fp16 graphs: strongly typed, faithful to fp32 on any audio, and as declared from outside."""

import shutil

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from export.checkpoint import load_checkpoint
from export.errors import GraphError
from export.graph import IR_VERSION, OPSET, check_graph
from export.precision.feeds import Graphs, run, tokens
from export.precision.fp16 import convert_model, convert_to_fp16
from export.tensors import Model, Tensor
from tests.conftest import PROJECT
from tests.export import models
from tests.export.support import NAME, export, noise

CLIPS = sorted((PROJECT / "demo" / "clips").glob("*.flac"))
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}
SILENCE = np.zeros(16000, np.int16)
CLIPPED = np.where(noise(48000) < 0, -32768, 32767).astype(np.int16)
UTTERANCES = [noise(20000), noise(24000, amplitude=30), CLIPPED, SILENCE]
LOG_PROBS_TOLERANCE = 0.1


def copy_of(graphs, folder):
    roles = ("preprocessor", "encoder", "decoder")
    return Graphs(*(shutil.copy(getattr(graphs, role), folder / f"{role}.onnx") for role in roles))


@pytest.fixture(scope="session")
def fp32(exported):
    return Graphs.of(exported.repository, NAME, exported.checkpoint.pipeline)


@pytest.fixture(scope="session")
def fp16(fp32, tmp_path_factory):
    graphs = copy_of(fp32, tmp_path_factory.mktemp("fp16"))
    convert_model(graphs, UTTERANCES)
    return graphs


def types_of(model):
    """Element types of all tensors, as strict inference finds them."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in inferred.initializer}


def both(graphs):
    return [onnx.load(graphs.encoder), onnx.load(graphs.decoder)]


def test_no_node_mixes_fp16_with_fp32(fp16):
    for model in both(fp16):
        types = types_of(model)
        for node in model.graph.node:
            assert len({types[name] for name in node.input if name} & FLOATS) <= 1, node


def test_most_weights_are_stored_in_fp16(fp16):
    for model in both(fp16):
        sizes = dict.fromkeys(FLOATS, 0)
        for tensor in model.graph.initializer:
            if tensor.data_type in FLOATS:
                sizes[tensor.data_type] += np.prod(tensor.dims)
        assert sizes[TensorProto.FLOAT] <= 0.1 * sizes[TensorProto.FLOAT16]


def test_no_cast_follows_a_cast_between_floats_and_none_is_made_twice(fp16):
    for model in both(fp16):
        types = types_of(model)
        casts = [node for node in model.graph.node if node.op_type == "Cast"]
        between = [n for n in casts if {types[n.input[0]], types[n.output[0]]} <= FLOATS]
        results = {node.output[0] for node in between}
        sources = [(node.input[0], types[node.output[0]]) for node in between]
        assert not results & {name for name, _ in sources}
        assert len(sources) == len(set(sources))
        assert all(types[name] != kind for name, kind in sources)


def test_names_axes_and_versions_stay_as_declared(fp16, fp32, exported):
    declared = exported.checkpoint.pipeline
    pairs = zip(both(fp16), both(fp32), (declared.encoder, declared.decoder), strict=True)
    for converted, original, model in pairs:
        check_graph(converted, model)
        assert converted.ir_version == IR_VERSION
        assert [(item.domain, item.version) for item in converted.opset_import] == [("", OPSET)]
        names = {node.name for node in original.graph.node if node.op_type != "Cast"}
        assert names <= {node.name for node in converted.graph.node}


def test_loud_and_silent_audio_come_out_finite_and_near_fp32(fp16, fp32):
    def log_probs(graphs):
        encoded = run(graphs.encoder, graphs.features(UTTERANCES))
        return [outputs["log_probs"] for outputs in run(graphs.decoder, encoded)]

    for expected, actual in zip(log_probs(fp32), log_probs(fp16), strict=True):
        assert np.isfinite(actual).all()
        assert np.abs(actual - expected).max() <= LOG_PROBS_TOLERANCE


def test_norms_softmax_and_sums_over_frames_stay_in_fp32(fp16):
    for model in both(fp16):
        types = types_of(model)
        masks = {name for node in model.graph.node if node.op_type == "Div" for name in node.output}
        for node in model.graph.node:
            over_frames = node.op_type == "MatMul" and masks & set(node.input)
            if over_frames or node.op_type in ("LayerNormalization", "LogSoftmax", "ArgMax"):
                assert TensorProto.FLOAT16 not in {types[name] for name in node.input}


@pytest.mark.parametrize("exported", ["quartznet"], indirect=True)
@pytest.mark.usefixtures("exported")
def test_weights_beside_the_graph_are_converted_in_place(fp32, tmp_path, monkeypatch):
    source, target = onnx.load(fp32.encoder), tmp_path / "model.onnx"
    beside = tmp_path / "model.onnx.data"
    onnx.save(source, target, save_as_external_data=True, location=beside.name, size_threshold=0)
    size = beside.stat().st_size
    monkeypatch.setattr("export.graph.MAX_GRAPH_BYTES", 0)
    convert_to_fp16(target, target, fp32.features(UTTERANCES))
    assert sorted(tmp_path.iterdir()) == [target, beside]
    assert 0 < beside.stat().st_size < 0.75 * size
    small = copy_of(fp32, tmp_path)
    convert_model(small, UTTERANCES)
    for actual, expected in zip(
        run(target, fp32.features(UTTERANCES)),
        run(small.encoder, fp32.features(UTTERANCES)),
        strict=True,
    ):
        assert (actual["encoded"] == expected["encoded"]).all()


def test_the_demo_model_keeps_its_tokens_on_its_clips(tmp_path):
    checkpoint = load_checkpoint(str(PROJECT / "demo" / "demo.nemo"))
    exported = export(checkpoint, tmp_path / "repository")
    fp32 = Graphs.of(exported.repository, NAME, checkpoint.pipeline)
    clips = [soundfile.read(path, dtype="int16")[0] for path in CLIPS]
    (tmp_path / "fp16").mkdir()
    fp16 = copy_of(fp32, tmp_path / "fp16")
    convert_model(fp16, [*clips[:4], CLIPPED, SILENCE])
    expected = tokens(fp32.encoder, fp32.decoder, fp32.features(clips))
    actual = tokens(fp16.encoder, fp16.decoder, fp16.features(clips))
    equal = sum(int((a == b).sum()) for a, b in zip(expected, actual, strict=True))
    assert equal >= 0.999 * sum(map(len, expected))


# -- one node at a time --------------------------------------------------------------------------

HEADER = """
<ir_version: 8, opset_import: ["" : 17]>
encoder (float[batch, 4, feature_frames] features, int64[batch, 1] features_length)
  => (float[batch, 4, feature_frames] encoded, int64[batch, 1] encoded_length)
"""
DECLARED = Model(
    "encoder",
    tuple(
        Tensor(*t) for t in (("features", "FP32", ("batch", 4, "feature_frames")),
                             ("features_length", "INT64", ("batch", 1)))
    ),
    tuple(
        Tensor(*t) for t in (("encoded", "FP32", ("batch", 4, "feature_frames")),
                             ("encoded_length", "INT64", ("batch", 1)))
    ),
)  # fmt: skip
LENGTH = "[length] encoded_length = Identity(features_length)"
MEAN = """
    [counts] counts = Cast<to = 1>(features_length)
    [sizes] sizes = Unsqueeze(counts, last)
"""
CASES = {
    "a value beyond fp16": (
        "<float[1] factor = {100000.0}>",
        """[in] small = Relu(features)
        [grow] big = Mul(small, factor)
        [middle] middle = Relu(big)
        [shrink] back = Div(middle, factor)
        [out] encoded = Tanh(back)""",
        ["grow", "middle", "shrink"],
    ),
    "a weight beyond fp16, small activations": (
        "<float[1] weight = {1000000.0}>",
        """[in] small = Tanh(features)
        [add] sum = Add(small, weight)
        [sub] encoded = Sub(sum, weight)""",
        ["add", "sub"],
    ),
    "weights that fp16 would round to nothing": (
        "<float[1] weight = {0.00000001}>",
        "[in] small = Tanh(features) [scale] encoded = Mul(small, weight)",
        ["scale"],
    ),
    "a normalisation spelled out": (
        "<float[1] two = {2.0}, float[1] eps = {0.00001}, float[4, 1] gain = {1.0, 2.0, 3.0, 4.0}>",
        """[mean] mean = ReduceMean<axes = [2]>(features)
        [centre] centred = Sub(features, mean)
        [square] squared = Pow(centred, two)
        [variance] variance = ReduceMean<axes = [2]>(squared)
        [floor] above = Add(variance, eps)
        [root] deviation = Sqrt(above)
        [divide] normal = Div(centred, deviation)
        [gain] encoded = Mul(normal, gain)""",
        ["mean", "centre", "square", "variance", "floor", "root", "divide"],
    ),
    "a division by the length": (
        "<int64[1] last = {2}>",
        f"""{MEAN} [tanh] tanh = Tanh(features) [divide] scaled = Div(tanh, sizes)
        [out] encoded = Relu(scaled)""",
        ["counts", "sizes", "divide"],
    ),
    "nothing": ("", "[a] a = Tanh(features) [b] encoded = Relu(a)", []),
}


def converted(initializers, nodes, folder):
    source, target = folder / "fp32.onnx", folder / "fp16.onnx"
    onnx.save(onnx.parser.parse_model(f"{HEADER}{initializers}{{ {nodes} {LENGTH} }}"), source)
    kept = convert_to_fp16(source, target, [FEED])
    return kept, source, target


FEED = {
    "features": np.linspace(-3, 3, 48, dtype=np.float32).reshape(1, 4, 12),
    "features_length": np.array([[12]]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_fp16_cannot_hold_stays_in_fp32_and_the_rest_does_not(case, tmp_path):
    initializers, nodes, expected = CASES[case]
    kept, source, target = converted(initializers, nodes, tmp_path)
    assert list(kept) == expected
    check_graph(onnx.load(target), DECLARED)
    # The reference evaluator computes in fp16 where the graph says so; ONNX Runtime need not.
    (actual, _), (exact, _) = (
        ReferenceEvaluator(onnx.load(path)).run(None, FEED) for path in (target, source)
    )
    assert np.allclose(actual, exact, rtol=2e-3, atol=2e-3 * np.abs(exact).max())


def test_no_utterances_are_refused_for_nothing_is_known_then(tmp_path):
    source = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(f"{HEADER}{{ encoded = Relu(features) {LENGTH} }}"), source)
    with pytest.raises(GraphError, match="got none"):
        convert_to_fp16(source, source, [])


# onnx's evaluator runs no Scan backwards, and an LSTM's masks choose between values.
WITHOUT_SCAN = [family for family in models.SMALL if family != "lstm"]


@pytest.mark.parametrize("exported", WITHOUT_SCAN, indirect=True)
@pytest.mark.usefixtures("exported")
def test_a_small_encoder_in_true_fp16_arithmetic_stays_finite(fp16, fp32):
    features = next(fp32.features([CLIPPED[:4000]]))
    encoded, _ = ReferenceEvaluator(onnx.load(fp16.encoder)).run(None, features)
    expected = next(run(fp32.encoder, [features]))["encoded"]
    assert np.abs(encoded - expected).max() <= 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("exported", WITHOUT_SCAN, indirect=True)
@pytest.mark.usefixtures("exported")
def test_masks_become_fp16_though_they_come_from_lengths(fp16):
    model = onnx.load(fp16.encoder)
    types = types_of(model)
    masks = [
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Cast" and types[node.input[0]] == TensorProto.BOOL
    ]
    assert TensorProto.FLOAT16 in {types[name] for name in masks}


def test_constants_of_fp32_nodes_are_not_rounded(tmp_path):
    initializers, nodes, _ = CASES["a normalisation spelled out"]
    _, _, target = converted(initializers, nodes, tmp_path)
    weights = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(target).graph.initializer
    }
    assert weights["eps"].dtype == np.float32
    assert weights["eps"] == np.float32(1e-5)
