"""A config that the native backend would refuse is refused here, by name and with the reason."""

import pytest
from onnx import TensorProto, helper

from server import EmbeddedServer, ModelLoadError, ServerOptions, free_ports
from tests.server.harness import (
    IDENTITY_CONFIG,
    WEIGHTED_SUMS_CONFIG,
    graph,
    identity,
    weighted_sums,
    write_model,
)

FIXED_BATCH = graph(
    [("x", TensorProto.FLOAT, [1, "samples"])],
    [("y", TensorProto.FLOAT, [1, "samples"])],
    [helper.make_node("Identity", ["x"], ["y"])],
)


def with_input(**changes):
    return {**IDENTITY_CONFIG, "input": [{**IDENTITY_CONFIG["input"][0], **changes}]}


def with_output(**changes):
    return {**IDENTITY_CONFIG, "output": [{**IDENTITY_CONFIG["output"][0], **changes}]}


def with_parameter(name, value):
    return {**IDENTITY_CONFIG, "parameters": {name: {"string_value": value}}}


def with_accelerator(kind, name):
    accelerators = {f"{kind}_execution_accelerator": [{"name": name}]}
    return {**IDENTITY_CONFIG, "optimization": {"execution_accelerators": accelerators}}


def with_batch_input(**changes):
    (item,) = WEIGHTED_SUMS_CONFIG["batch_input"]
    return {**WEIGHTED_SUMS_CONFIG, "batch_input": [{**item, **changes}]}


# name: (graph, config, what the reason must say)
REFUSED = {
    "input_missing": (
        weighted_sums(),
        {**WEIGHTED_SUMS_CONFIG, "batch_input": []},
        ["config.pbtxt has 1 inputs", "the graph has 2: ['audio', 'lengths']"],
    ),
    "input_unknown": (
        identity(),
        with_input(name="z"),
        ["input 'z' is not in the graph, which has ['x']"],
    ),
    "input_type": (
        identity(TensorProto.INT16),
        {
            **IDENTITY_CONFIG,
            "output": [{**IDENTITY_CONFIG["output"][0], "data_type": "TYPE_INT16"}],
        },
        ["input 'x' is TYPE_FP32 in config.pbtxt and TYPE_INT16 in the graph"],
    ),
    "input_rank": (
        identity(),
        with_input(dims=[-1, -1]),
        ["input 'x' has shape [-1, -1, -1] by config.pbtxt and [-1, -1] in the graph"],
    ),
    "input_optional": (identity(), with_input(optional=True), ["input 'x' is optional"]),
    "input_ragged": (
        identity(),
        with_input(allow_ragged_batch=True),
        ["input 'x' allows ragged batches", "must take [-1], it has [-1, -1]"],
    ),
    "output_unknown": (identity(), with_output(name="z"), ["output 'z' is not in the graph"]),
    "output_type": (
        identity(),
        with_output(data_type="TYPE_FP64"),
        ["output 'y' is TYPE_FP64 in config.pbtxt and TYPE_FP32 in the graph"],
    ),
    "output_dims": (
        identity(),
        with_output(dims=[4]),
        ["output 'y' has shape [-1, 4] by config.pbtxt and [-1, -1] in the graph"],
    ),
    "batch_fixed": (
        FIXED_BATCH,
        IDENTITY_CONFIG,
        ["input 'x' has shape [1, -1] in the graph", "output 'y' has shape [1, -1]"],
    ),
    "batch_input_kind": (
        weighted_sums(),
        with_batch_input(kind="BATCH_ELEMENT_COUNT"),
        ["batch_input 'lengths' has kind BATCH_ELEMENT_COUNT, expected BATCH_ITEM_SHAPE"],
    ),
    "batch_input_type": (
        weighted_sums(),
        with_batch_input(data_type="TYPE_FP32"),
        ["batch_input 'lengths' has data_type TYPE_FP32, expected TYPE_INT32"],
    ),
    "parameters_bad": (
        identity(),
        {
            **IDENTITY_CONFIG,
            "parameters": {
                name: {"string_value": "many"}
                for name in (
                    "intra_op_thread_count",
                    "inter_op_thread_count",
                    "execution_mode",
                    "enable_mem_arena",
                    "enable_mem_pattern",
                )
            },
        },
        [
            "intra_op_thread_count is 'many'",
            "inter_op_thread_count is 'many'",
            "execution_mode is 'many'",
            "enable_mem_arena is 'many'",
            "enable_mem_pattern is 'many'",
        ],
    ),
    "accelerator_gpu": (
        identity(),
        with_accelerator("gpu", "tensorrtt"),
        ["unknown GPU execution accelerator 'tensorrtt'", "'tensorrt'"],
    ),
    "accelerator_cpu": (
        identity(),
        with_accelerator("cpu", "openvino"),
        ["unknown CPU execution accelerator 'openvino'"],
    ),
    "sequences": (
        identity(),
        {**IDENTITY_CONFIG, "sequence_batching": {}},
        ["sequence_batching is not supported"],
    ),
}


@pytest.fixture(scope="module")
def reasons(tmp_path_factory):
    """Why each model of a repository full of mistakes did not load."""
    repository = tmp_path_factory.mktemp("refused")
    for name, (model, config, _) in REFUSED.items():
        write_model(repository, name, model, config)
    write_model(repository, "fine", identity(), IDENTITY_CONFIG)
    write_model(repository, "graph_missing", identity(), IDENTITY_CONFIG)
    (repository / "graph_missing" / "1" / "model.onnx").unlink()
    write_model(repository, "graph_damaged", identity(), IDENTITY_CONFIG)
    (repository / "graph_damaged" / "1" / "model.onnx").write_bytes(b"not a graph")
    write_model(repository, "config_damaged", identity(), IDENTITY_CONFIG)
    (repository / "config_damaged" / "config.pbtxt").write_text('backendd: "onnxruntime"')
    (repository / "config_missing" / "1").mkdir(parents=True)
    write_model(repository, "version_missing", identity(), IDENTITY_CONFIG)
    (repository / "version_missing" / "1" / "model.onnx").unlink()
    (repository / "version_missing" / "1").rmdir()
    server = EmbeddedServer(ServerOptions(repository, **free_ports()))
    with pytest.raises(ModelLoadError) as failure:
        server.start()
    return failure.value.reasons


@pytest.mark.parametrize("name", REFUSED)
def test_a_mismatch_between_config_and_graph_is_named(reasons, name):
    assert f"model '{name}': " in reasons[name]
    for part in REFUSED[name][2]:
        assert part in reasons[name]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("graph_missing", "found none"),
        ("graph_damaged", "Protobuf parsing failed"),
        ("config_damaged", "failed to read text proto"),
        ("config_missing", "config.pbtxt"),
        ("version_missing", "at least one version must be available"),
    ],
)
def test_a_model_that_cannot_be_read_is_named_with_its_reason(reasons, name, part):
    assert part in reasons[name]


def test_only_models_that_failed_are_blamed(reasons):
    assert "fine" not in reasons


def test_a_reason_is_free_of_python_tracebacks(reasons):
    assert not [name for name, reason in reasons.items() if "\nAt:" in reason]
