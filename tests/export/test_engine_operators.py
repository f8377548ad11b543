"""Every family's graphs against TensorRT's operator table, and each obstacle once."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.engine.operators import TABLE, obstacles
from export.precision.feeds import Graphs, run
from export.precision.fp16 import convert_to_fp16
from export.precision.int8 import Int8Options, quantise_encoder
from export.repository import graph_path
from export.verification.random_models import SMALL, random_checkpoint
from tests.export.support import NAME, export, noise

RUNNABLE = ("encoder", "decoder")
FLOAT, HALF, LONG = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64


@pytest.fixture(scope="module", params=SMALL)
def graphs(request, tmp_path_factory):
    """Paths of a family's fp32 graphs."""
    repository = tmp_path_factory.mktemp(request.param) / "repository"
    export(random_checkpoint(SMALL[request.param]), repository)
    return Graphs(
        *(graph_path(repository, f"{NAME}_{role}") for role in ("preprocessor", *RUNNABLE))
    )


def problems(path):
    return obstacles(onnx.load(path, load_external_data=False))


def speech():
    return [noise(16000), noise(24000, 30000), np.zeros(16000, np.int16)]


def test_encoder_and_decoder_of_every_family_run_in_fp32(graphs):
    assert problems(graphs.encoder) == []
    assert problems(graphs.decoder) == []


def test_encoder_and_decoder_of_every_family_run_in_fp16(graphs, tmp_path):
    feeds = list(graphs.features(speech()))
    encoder, decoder = tmp_path / "encoder.onnx", tmp_path / "decoder.onnx"
    convert_to_fp16(graphs.encoder, encoder, feeds)
    convert_to_fp16(graphs.decoder, decoder, run(graphs.encoder, feeds))
    for path in (encoder, decoder):
        types = {item.data_type for item in onnx.load(path).graph.initializer}
        assert HALF in types
        assert problems(path) == []


@pytest.mark.parametrize("symmetric", [True, False])
def test_int8_encoders_run_if_they_are_symmetric(graphs, symmetric, tmp_path):
    options = Int8Options(symmetric_activations=symmetric, least_agreement=0.0)
    path = tmp_path / "encoder.onnx"
    quantise_encoder(graphs, path, speech()[:1], options, lambda _: None)
    found = problems(path)
    assert (found == []) is symmetric
    if not symmetric:
        assert any("UINT8 is none of its types" in problem for problem in found)
        assert any("is not 0, and TensorRT takes only 0" in problem for problem in found)


def test_the_preprocessor_stays_on_onnx_runtime(graphs):
    found = "\n".join(problems(graphs.preprocessor))
    assert "input audio_signal is INT16" in found
    assert "(Range): its output's shape depends on the values of the input" in found
    assert "(Cast): INT16 is none of its types" in found
    assert "(Gather): INT16 is none of its types" in found
    assert "(CumSum): INT64 is none of its types" in found


# -- one graph for each kind of obstacle ---------------------------------------------------------


def node(op, inputs=("x",), outputs=("y",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), name=f"/{op}", **attributes)


def model(nodes, inputs=None, outputs=None, constants=None, opset=17):
    """A graph from ``x`` to ``y``, FP32 [batch, 4] unless told otherwise."""
    plain = (FLOAT, ["batch", 4])
    graph = helper.make_graph(
        nodes if isinstance(nodes, list) else [nodes],
        "test",
        [helper.make_tensor_value_info(n, *v) for n, v in (inputs or {"x": plain}).items()],
        [helper.make_tensor_value_info(n, *v) for n, v in (outputs or {"y": plain}).items()],
        [numpy_helper.from_array(np.array(v), n) for n, v in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def quantised(zero_point, kind=np.int8):
    """``x`` through int8 and back."""
    constants = {"scale": np.float32(0.1), "zero": kind(zero_point)}
    return model(
        [
            node("QuantizeLinear", ("x", "scale", "zero"), ("q",)),
            node("DequantizeLinear", ("q", "scale", "zero")),
        ],
        constants=constants,
    )


ROW = (LONG, [1])
BAD = {
    "opset": (model(node("Relu"), opset=8), "opset 8, TensorRT reads 9 to 24"),
    "input": (
        model(node("Cast", to=FLOAT), {"x": (TensorProto.DOUBLE, ["batch"])}),
        "input x is FP64",
    ),
    "output": (
        model(node("Cast", to=TensorProto.INT16), outputs={"y": (TensorProto.INT16, ["b", 4])}),
        "output y is INT16",
    ),
    "operator": (
        model(node("BitShift", ("x", "x"), direction="LEFT")),
        "/BitShift (BitShift): TensorRT has no such operator",
    ),
    "later operator": (
        model(node("DFT", onesided=1)),
        "/DFT (DFT): TensorRT has it from 11.2 on",
    ),
    "domain": (model(node("Gelu", domain="com.microsoft")), "is of the domain com.microsoft"),
    "restriction": (
        model(node("MaxPool", kernel_shape=[2])),
        "(MaxPool): TensorRT restricts it (2-D or 3-D pooling only",
    ),
    "type": (
        model(
            node("CumSum", ("x", "axis")),
            {"x": (LONG, ["b", 4])},
            {"y": (LONG, ["b", 4])},
            {"axis": np.int64(0)},
        ),
        "(CumSum): INT64 is none of its types in TensorRT: BF16, FP16, FP32",
    ),
    "mixed types": (
        model(node("Add", ("x", "half")), constants={"half": np.float16([1])}),
        "(Add): mixes FP32 and FP16, which a strongly typed network refuses",
    ),
    "constant input": (
        model(node("Unsqueeze", ("x", "axes")), {"x": (FLOAT, [4]), "axes": ROW}),
        "(Unsqueeze): its input axes must be a constant",
    ),
    "zero point": (
        quantised(3),
        "(DequantizeLinear): its zero point zero is not 0, and TensorRT takes only 0 (symmetric)",
    ),
    "unsigned": (quantised(0, np.uint8), "(QuantizeLinear): UINT8 is none of its types"),
    "second output": (
        model(
            node("LayerNormalization", ("x", "scale"), ("y", "mean")),
            constants={"scale": np.ones(4, np.float32)},
        ),
        "(LayerNormalization): TensorRT gives only its first output",
    ),
    "unsorted": (
        model(node("TopK", ("x", "k"), ("y", "indices"), sorted=0), constants={"k": np.int64([2])}),
        "(TopK): its values must be sorted",
    ),
    "too many of the best": (
        model(node("TopK", ("x", "k"), ("y", "indices")), constants={"k": np.int64([3840])}),
        "(TopK): its K must be a constant of at most 3839",
    ),
    "shape from values": (
        model(
            [node("Expand", ("x", "twice")), node("Add", ("shape", "shape"), ("twice",))],
            {"x": (FLOAT, [1, 4]), "shape": (LONG, ["rank"])},
            {"y": (FLOAT, ["batch", 4])},
        ),
        "(Expand): its output's shape depends on the values of the input shape",
    ),
    "many values": (
        model(
            node("Expand", ("x", "shape")),
            {"x": (FLOAT, [1, 4]), "shape": (LONG, [65])},
            {"y": (FLOAT, ["batch", 4])},
        ),
        "fixed shape with at most 64 elements",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_each_obstacle_is_one_sentence_with_node_operator_and_reason(case):
    graph, expected = BAD[case]
    assert any(expected in problem for problem in obstacles(graph)), obstacles(graph)


GOOD = {
    "symmetric int8": quantised(0),
    "shape from a shape": model(
        [node("Shape", outputs=("shape",)), node("Expand", ("one", "shape"))],
        constants={"one": np.ones((1, 1), np.float32)},
    ),
    "shape from a small input of fixed shape": model(
        node("Expand", ("x", "shape")),
        {"x": (FLOAT, [1, 4]), "shape": (LONG, [2])},
    ),
    "computed constant": model(
        [node("Neg", ("axes",), ("last",)), node("ReduceSum", ("x", "last"))],
        outputs={"y": (FLOAT, ["b", 1])},
        constants={"axes": np.int64([1])},
    ),
    "the best": model(
        node("TopK", ("x", "k"), ("y", "indices")),
        outputs={"y": (FLOAT, ["b", 2])},
        constants={"k": np.int64([2])},
    ),
    "half precision between casts": model(
        [node("Cast", outputs=("h",), to=HALF), node("Cast", ("h",), to=FLOAT)]
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_what_tensorrt_runs_has_no_obstacle(case):
    assert obstacles(GOOD[case]) == []


def test_obstacles_within_branches_are_found():
    branches = {
        name: helper.make_graph(
            [node("Det", outputs=(name,))],
            name,
            [],
            [helper.make_tensor_value_info(name, FLOAT, [])],
        )
        for name in ("then_branch", "else_branch")
    }
    found = obstacles(
        model(node("If", ("c",), **branches), {"c": (TensorProto.BOOL, []), "x": (FLOAT, [2, 2])})
    )
    assert sum("(Det): TensorRT has no such operator" in problem for problem in found) == 2


def test_weights_are_not_needed():
    weights = np.ones((512, 4, 3), np.float32)
    plain = model(
        node("Conv", ("x", "w"), pads=[1, 1]),
        {"x": (FLOAT, ["b", 4, "t"])},
        {"y": (FLOAT, ["b", 512, "t"])},
        {"w": weights},
    )
    before = plain.SerializeToString()
    assert obstacles(plain) == []
    assert plain.SerializeToString() == before


def test_the_table_names_its_source_and_only_operators_of_onnx():
    assert TABLE["source"].startswith("https://github.com/onnx/onnx-tensorrt")
    assert TABLE["version"]
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history()}
    # Operators of older or of other runtimes' ONNX, which the table lists as well.
    others = {"ImageScaler", "ParametricSoftplus", "ScaledTanh"}
    assert set(TABLE["operators"]) - others <= known
