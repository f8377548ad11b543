"""Triton configurations, built as protobuf messages so that a schema mistake fails here.

Only fields that server 2.51 (container 24.10) knows are used.
"""

from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc.model_config_pb2 import ModelConfig

from client.contract import AUDIO_SIGNAL, CONTRACT_PARAMETER, Contract
from export.tensors import AUDIO_SIGNAL_LENGTH, Model, Pipeline, Tensor

MAX_BATCH_SIZE: Final = 16
PREPROCESSOR_QUEUE_DELAY_US: Final = 10_000
"""Long enough for concurrent requests to meet. Utterances leave the preprocessor's batch with
one shape, and only equal shapes are batched by the encoder."""
MAX_QUEUE_SIZE: Final = 1024
"""Requests waiting for one model; one more is refused with UNAVAILABLE."""

_BACKEND: Final = "onnxruntime"
_CUDNN_HEURISTIC: Final = "1"
"""ONNX Runtime's default searches exhaustively, again for every new shape."""


def model_name(name: str, model: Model) -> str:
    """``demo``'s encoder is ``demo_encoder``."""
    return f"{name}_{model.role}"


def model_config(name: str, model: Model) -> ModelConfig:
    """The configuration of one graph of the pipeline called ``name``."""
    config = ModelConfig(
        name=model_name(name, model),
        backend=_BACKEND,
        max_batch_size=MAX_BATCH_SIZE,
        input=[_input(tensor) for tensor in model.inputs if tensor.name != AUDIO_SIGNAL_LENGTH],
        output=[_output(tensor) for tensor in model.outputs],
        instance_group=[
            model_config_pb2.ModelInstanceGroup(
                kind=model_config_pb2.ModelInstanceGroup.KIND_AUTO, count=1
            )
        ],
    )
    config.dynamic_batching.default_queue_policy.max_queue_size = MAX_QUEUE_SIZE
    if any(tensor.ragged for tensor in model.inputs):
        config.dynamic_batching.max_queue_delay_microseconds = PREPROCESSOR_QUEUE_DELAY_US
        config.batch_input.add(
            kind=model_config_pb2.BatchInput.BATCH_ITEM_SHAPE,
            target_name=[AUDIO_SIGNAL_LENGTH],
            data_type=model_config_pb2.TYPE_INT32,
            source_input=[AUDIO_SIGNAL],
        )
    config.parameters["cudnn_conv_algo_search"].string_value = _CUDNN_HEURISTIC
    return config


def ensemble_config(name: str, pipeline: Pipeline, contract: Contract) -> ModelConfig:
    """The ensemble ``name``: audio in, the decoder's outputs out, the contract inside."""
    audio = pipeline.preprocessor.inputs[0]
    config = ModelConfig(
        name=name,
        platform="ensemble",
        max_batch_size=MAX_BATCH_SIZE,
        input=[
            model_config_pb2.ModelInput(
                name=audio.name, data_type=_data_type(audio), dims=audio.dims
            )
        ],
        output=[_output(tensor) for tensor in pipeline.decoder.outputs],
    )
    for model in pipeline.models:
        step = config.ensemble_scheduling.step.add(
            model_name=model_name(name, model), model_version=-1
        )
        for tensor in model.inputs:
            if tensor.name != AUDIO_SIGNAL_LENGTH:
                step.input_map[tensor.name] = tensor.name
        for tensor in model.outputs:
            step.output_map[tensor.name] = tensor.name
    config.parameters[CONTRACT_PARAMETER].string_value = contract.to_json()
    return config


def config_text(config: ModelConfig) -> str:
    """The message as it stands in ``config.pbtxt``."""
    return str(text_format.MessageToString(config))


def parse_config(text: str) -> ModelConfig:
    """The message of a ``config.pbtxt``; raises ``text_format.ParseError``."""
    return text_format.Parse(text, ModelConfig())


def _input(tensor: Tensor) -> model_config_pb2.ModelInput:
    return model_config_pb2.ModelInput(
        name=tensor.name,
        data_type=_data_type(tensor),
        dims=tensor.dims,
        allow_ragged_batch=tensor.ragged,
    )


def _output(tensor: Tensor) -> model_config_pb2.ModelOutput:
    return model_config_pb2.ModelOutput(
        name=tensor.name, data_type=_data_type(tensor), dims=tensor.dims
    )


def _data_type(tensor: Tensor) -> int:
    return int(model_config_pb2.DataType.Value(f"TYPE_{tensor.type}"))
