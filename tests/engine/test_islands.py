"""Fp32 islands: which layers they hold, and that types are right on both sides of every edge."""

import json

import pytest

from export.engine.islands import LEVELS, make_islands
from tests.engine import fake_tensorrt
from tests.engine.fake_tensorrt import DataType, LayerType, OnnxParser
from tests.engine.support import GRAPH

# Attention and a normalisation in half precision, with a length beside it.
ATTENTION = {
    "inputs": {"features": "FLOAT", "features_length": "INT64"},
    "layers": {
        "to_half": ["CAST", ["features"], "half", "HALF"],
        "scale": ["CONSTANT", [], "gamma", "HALF"],
        "norm": ["NORMALIZATION", ["half", "gamma"], "normal"],
        "query_weight": ["CONSTANT", [], "wq", "HALF"],
        "turned_weight": ["SHUFFLE", ["wq"], "wq_turned"],
        "query": ["MATRIX_MULTIPLY", ["normal", "wq_turned"], "q"],
        "scores": ["MATRIX_MULTIPLY", ["q", "normal"], "s"],
        "softmax": ["SOFTMAX", ["s"], "p"],
        "context": ["MATRIX_MULTIPLY", ["p", "normal"], "c"],
        "residual": ["ELEMENTWISE", ["c", "half"], "r"],
        "length": ["ELEMENTWISE", ["features_length", "features_length"], "length_twice"],
        "to_float": ["CAST", ["r"], "encoded", "FLOAT"],
    },
    "outputs": ["encoded", "length_twice"],
    "overflow": [],
}


@pytest.fixture
def parse(tmp_path):
    def parse(graph):
        path = tmp_path / "model.onnx"
        path.write_text(json.dumps(graph))
        network = fake_tensorrt.INetworkDefinition()
        assert OnnxParser(network, None).parse_from_file(str(path))
        return network

    return parse


def islands(network, kinds):
    return make_islands(fake_tensorrt, network, kinds)


def types(network):
    """Type of each layer's output; the stand-in fails where a layer's inputs differ in type."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    return {layer.name: layer.get_output(0).dtype.name for layer in layers}


def casts(network):
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    return [layer.name for layer in layers if layer.type is LayerType.CAST]


def test_the_graphs_own_precision_is_left_alone(parse):
    network = parse(ATTENTION)
    before = types(network)
    assert islands(network, LEVELS[0]) == ()
    assert types(network) == before


def test_first_come_layers_that_sum_divide_or_exponentiate(parse):
    network = parse(ATTENTION)
    assert islands(network, LEVELS[1]) == ("norm", "softmax")
    known = types(network)
    assert (known["norm"], known["softmax"]) == ("FLOAT", "FLOAT")
    assert {known[name] for name in ("query", "scores", "context", "residual")} == {"HALF"}


def test_then_all_layers_but_those_with_weights(parse):
    network = parse(ATTENTION)
    assert islands(network, LEVELS[2]) == ("context", "norm", "residual", "scores", "softmax")
    known = types(network)
    assert (known["query"], known["turned_weight"]) == ("HALF", "HALF")
    assert (known["length"], known["to_float"]) == ("INT64", "FLOAT")


def test_neighbours_in_an_island_hand_over_fp32(parse):
    network = parse(GRAPH)
    assert islands(network, LEVELS[1]) == ("log", "softmax")
    # In, and out: were there more, a value would pass through half precision on the way.
    assert len(casts(network)) == len(casts(parse(GRAPH))) + 2


def test_a_network_deeper_than_pythons_stack_is_no_obstacle(parse):
    layers = {f"cast_{i}": ["CAST", [f"x{i}"], f"x{i + 1}", "HALF"] for i in range(2000)}
    layers["product"] = ["MATRIX_MULTIPLY", ["x2000", "x1999"], "y"]
    layers["to_float"] = ["CAST", ["y"], "encoded", "FLOAT"]
    network = parse({**GRAPH, "inputs": {"x0": "HALF"}, "layers": layers})
    assert islands(network, LEVELS[2]) == ("product",)


def test_a_tensor_is_cast_once_however_many_layers_use_it(parse):
    network = parse(ATTENTION)
    islands(network, LEVELS[2])
    made = [name for name in casts(network) if name.startswith("cast_")]
    assert len(made) == len(set(made))


def test_layers_that_make_the_networks_outputs_keep_their_type(parse):
    network = parse({**GRAPH, "outputs": ["log_half"]})
    assert islands(network, LEVELS[1]) == ("softmax",)
    assert network._outputs[0].dtype is DataType.HALF
