"""A model repository of the project's form with three tiny graphs, made without NeMo."""

from pathlib import Path

import numpy as np
from google.protobuf import text_format
from onnx import TensorProto, helper
from tritonclient.grpc import model_config_pb2

from client.wire.contract import CONTRACT_PARAMETER, CONTRACT_VERSION, Contract
from tests.server.harness import graph, write_model

HOP, FEATURES, VOCABULARY = 160, 4, ("a", "b", "c", "d")
FLOAT, INT16, INT32, INT64 = (
    TensorProto.FLOAT,
    TensorProto.INT16,
    TensorProto.INT32,
    TensorProto.INT64,
)
CONTRACT = Contract(
    version=CONTRACT_VERSION,
    audio_type="INT16",
    sample_rate_hz=16000,
    min_samples=2 * HOP,
    max_samples=160000,
    feature_stride_s=0.01,
    frame_stride_s=0.01,
    vocabulary=VOCABULARY,
    vocabulary_kind="char",
    blank=len(VOCABULARY),
    checkpoint="tiny",
    checkpoint_sha256="0" * 64,
    precision="fp32",
    exporter_version="0",
)
LENGTH = ["batch", 1]
MEL = ["batch", FEATURES, "frames"]
SCORES = ["batch", "frames", len(VOCABULARY) + 1]


def preprocessor():
    """Equally long utterances only: flat int16 to one value a band for each hop."""
    node = helper.make_node
    return graph(
        [("audio_signal", INT16, ["samples"]), ("audio_signal_length", INT32, LENGTH)],
        [("features", FLOAT, MEL), ("features_length", INT64, LENGTH)],
        [
            node("Cast", ["audio_signal"], ["audio"], to=FLOAT),
            node("Shape", ["audio_signal_length"], ["batch"], start=0, end=1),
            node("Concat", ["batch", "rest"], ["shape"], axis=0),
            node("Reshape", ["audio", "shape"], ["waves"]),  # [B, 1, N]
            node("Conv", ["waves", "bands"], ["features"], strides=[HOP]),  # [B, F, T]
            node("Cast", ["audio_signal_length"], ["length"], to=INT64),
            node("Div", ["length", "hop"], ["features_length"]),
        ],
        {
            "rest": (INT64, [2], [1, -1]),
            "hop": (INT64, [], [HOP]),
            "bands": (FLOAT, [FEATURES, 1, HOP], noise(FEATURES * HOP)),
        },
    )


def encoder():
    return graph(
        [("features", FLOAT, MEL), ("features_length", INT64, LENGTH)],
        [("encoded", FLOAT, MEL), ("encoded_length", INT64, LENGTH)],
        [
            helper.make_node("Conv", ["features", "kernel"], ["encoded"]),
            helper.make_node("Identity", ["features_length"], ["encoded_length"]),
        ],
        {"kernel": (FLOAT, [FEATURES, FEATURES, 1], noise(FEATURES**2))},
    )


def decoder():
    node = helper.make_node
    size = len(VOCABULARY) + 1
    return graph(
        [("encoded", FLOAT, MEL), ("encoded_length", INT64, LENGTH)],
        [
            ("tokens", INT32, ["batch", "frames"]),
            ("log_probs", FLOAT, SCORES),
            ("log_probs_length", INT64, LENGTH),
        ],
        [
            node("Transpose", ["encoded"], ["rows"], perm=[0, 2, 1]),
            node("MatMul", ["rows", "weight"], ["logits"]),
            node("LogSoftmax", ["logits"], ["log_probs"], axis=-1),
            node("ArgMax", ["log_probs"], ["best"], axis=-1, keepdims=0),
            node("Cast", ["best"], ["tokens"], to=INT32),
            node("Identity", ["encoded_length"], ["log_probs_length"]),
        ],
        {"weight": (FLOAT, [FEATURES, size], noise(FEATURES * size))},
    )


def noise(count):
    return np.random.default_rng(count).standard_normal(count).tolist()


def write_pipeline(repository: Path, name: str = "tiny") -> None:
    """Write the model ``name``: graphs, configurations, ensemble with a contract."""
    steps = []
    for role, model in (
        ("preprocessor", preprocessor()),
        ("encoder", encoder()),
        ("decoder", decoder()),
    ):
        names = [value.name for value in (*model.graph.input, *model.graph.output)]
        config = {
            "max_batch_size": 8,
            "input": [_tensor(value) for value in model.graph.input],
            "output": [_tensor(value) for value in model.graph.output],
        }
        if role == "preprocessor":
            config["input"] = [
                {"name": names[0], "data_type": "TYPE_INT16", "dims": [-1]}
                | {"allow_ragged_batch": True}
            ]
            config["batch_input"] = [
                {
                    "kind": "BATCH_ITEM_SHAPE",
                    "target_name": [names[1]],
                    "data_type": "TYPE_INT32",
                    "source_input": [names[0]],
                }
            ]
            names.remove(names[1])
        write_model(repository, f"{name}_{role}", model, config)
        inputs = [item["name"] for item in config["input"]]
        steps.append((f"{name}_{role}", inputs, [n for n in names if n not in inputs]))
    _write_ensemble(repository, name, steps)


def _tensor(value):
    kinds = {FLOAT: "TYPE_FP32", INT64: "TYPE_INT64", INT32: "TYPE_INT32", INT16: "TYPE_INT16"}
    dims = [axis.dim_value or -1 for axis in value.type.tensor_type.shape.dim]
    return {
        "name": value.name,
        "data_type": kinds[value.type.tensor_type.elem_type],
        "dims": dims[1:],
    }


def _write_ensemble(repository, name, steps):
    config = model_config_pb2.ModelConfig(name=name, platform="ensemble", max_batch_size=8)
    config.input.add(name="audio_signal", data_type=model_config_pb2.TYPE_INT16, dims=[-1])
    for value in decoder().graph.output:
        tensor = _tensor(value)
        kind = model_config_pb2.DataType.Value(tensor["data_type"])
        config.output.add(name=tensor["name"], data_type=kind, dims=tensor["dims"])
    for model, inputs, outputs in steps:
        step = config.ensemble_scheduling.step.add(model_name=model, model_version=-1)
        step.input_map.update({tensor: tensor for tensor in inputs})
        step.output_map.update({tensor: tensor for tensor in outputs})
    config.parameters[CONTRACT_PARAMETER].string_value = CONTRACT.to_json()
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(text_format.MessageToString(config))
