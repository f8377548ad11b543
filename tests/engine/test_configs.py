"""Configs for TensorRT, read by a real Triton 2.51: on a CPU, where no plan can run."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.grpc.model_config_pb2 import ModelInstanceGroup

from export.config import (
    MAX_BATCH_SIZE,
    accelerated_config,
    config_text,
    model_config,
    model_name,
    parse_config,
    tensorrt_config,
)
from export.engine.profiles import profiles
from export.engine.switch import config_for, serving_backend, switch
from export.serving import DEFAULT_SERVING
from export.tensors import Pipeline
from server import EmbeddedServer, ServerOptions, free_ports
from tests.engine.test_profiles import CONTRACT
from tests.server.harness import IDENTITY_CONFIG, graph, identity, write_model

NAME = "small"
PIPELINE = Pipeline.of(features=4, channels=4, vocabulary_size=3)
ENCODER = PIPELINE.encoder
SERVING = DEFAULT_SERVING
# What triton-inference-server/onnxruntime_backend reads (README at 013d2745, pull request 237).
KNOWN_PARAMETERS = {
    "precision_mode",
    "max_workspace_size_bytes",
    "trt_engine_cache_enable",
    "trt_engine_cache_path",
    "trt_timing_cache_enable",
    "trt_timing_cache_path",
    "trt_profile_min_shapes",
    "trt_profile_opt_shapes",
    "trt_profile_max_shapes",
}


def accelerated(precision="fp16"):
    shapes = profiles(ENCODER, CONTRACT, MAX_BATCH_SIZE)
    return accelerated_config(NAME, ENCODER, SERVING, shapes, precision)


def parameters(config):
    (item,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert item.name == "tensorrt"
    return dict(item.parameters)


def write_encoder(repository, config):
    """A graph with the encoder's tensors that hands features and lengths through."""
    features = ["batch", 4, "frames"]
    model = graph(
        [
            ("features", TensorProto.FLOAT, features),
            ("features_length", TensorProto.INT64, ["batch", 1]),
        ],
        [
            ("encoded", TensorProto.FLOAT, features),
            ("encoded_length", TensorProto.INT64, ["batch", 1]),
        ],
        [
            helper.make_node("Identity", ["features"], ["encoded"]),
            helper.make_node("Identity", ["features_length"], ["encoded_length"]),
        ],
    )
    folder = repository / model_name(NAME, ENCODER)
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "config.pbtxt").write_text(config_text(config))
    plan_config = config_for(folder, "tensorrt")
    plan_config.parent.mkdir()
    plan_config.write_text(config_text(tensorrt_config(NAME, ENCODER, SERVING)))
    return folder


def serve(repository):
    return EmbeddedServer(ServerOptions(repository, **free_ports()))


def encode(server, x):
    inputs = [
        InferInput("features", list(x.shape), "FP32").set_data_from_numpy(x),
        InferInput("features_length", [len(x), 1], "INT64").set_data_from_numpy(
            np.full((len(x), 1), x.shape[2])
        ),
    ]
    with InferenceServerClient(server.grpc_url) as client:
        return client.infer(model_name(NAME, ENCODER), inputs).as_numpy("encoded")


def test_an_accelerated_model_is_served_on_a_cpu_too(tmp_path):
    write_encoder(tmp_path, accelerated())
    x = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    with serve(tmp_path) as server:
        np.testing.assert_array_equal(encode(server, x), x)


def test_an_accelerator_is_all_that_is_added():
    plain, config = model_config(NAME, ENCODER, SERVING), accelerated()
    config.ClearField("optimization")
    assert config == plain


def test_accelerator_parameters_are_those_that_tritons_backend_knows():
    assert set(parameters(accelerated())) == KNOWN_PARAMETERS
    assert set(parameters(accelerated("fp32"))) == KNOWN_PARAMETERS - {"precision_mode"}


@pytest.mark.parametrize(("precision", "mode"), [("fp16", "FP16"), ("int8", "INT8")])
def test_a_lower_precision_of_the_graph_is_allowed(precision, mode):
    assert parameters(accelerated(precision))["precision_mode"] == mode


def test_shapes_are_written_as_onnx_runtime_reads_them():
    written = parameters(accelerated())
    assert written["trt_profile_min_shapes"] == "features:1x4x2,features_length:1x1"
    assert written["trt_profile_opt_shapes"] == "features:8x4x1000,features_length:8x1"
    assert written["trt_profile_max_shapes"] == "features:16x4x12000,features_length:16x1"


@pytest.mark.parametrize("model", PIPELINE.models, ids=lambda model: model.role)
def test_a_plan_takes_and_gives_what_the_graph_does_but_only_on_gpus(model):
    plan, plain = tensorrt_config(NAME, model, SERVING), model_config(NAME, model, SERVING)
    assert (plan.backend, plan.default_model_filename) == ("tensorrt", "model.plan")
    assert [group.kind for group in plan.instance_group] == [ModelInstanceGroup.KIND_GPU]
    assert not plan.HasField("optimization")
    for field in (
        "backend",
        "default_model_filename",
        "instance_group",
        "optimization",
        "parameters",
    ):
        plan.ClearField(field)
        plain.ClearField(field)
    assert plan == plain


def test_batches_fit_the_profile():
    shapes = profiles(ENCODER, CONTRACT, MAX_BATCH_SIZE)
    assert tensorrt_config(NAME, ENCODER, SERVING).max_batch_size == shapes["features"].max[0]


def test_configs_come_back_from_their_text():
    for config in (accelerated(), tensorrt_config(NAME, ENCODER, SERVING)):
        assert parse_config(config_text(config)) == config


def test_a_repository_switched_to_plans_is_served_here_by_its_graphs(tmp_path):
    folder = write_encoder(tmp_path, model_config(NAME, ENCODER, SERVING))
    write_model(tmp_path, "without_configs", identity(), IDENTITY_CONFIG)
    assert serving_backend(folder) == "onnxruntime"
    assert switch(folder, "tensorrt")
    x = np.ones((1, 4, 5), np.float32)
    with serve(tmp_path) as server:
        assert server.models == (model_name(NAME, ENCODER), "without_configs")
        np.testing.assert_array_equal(encode(server, x), x)
