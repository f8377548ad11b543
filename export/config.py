"""Triton configurations, built as protobuf messages so that a schema mistake fails here.

Only fields that server 2.51 (container 24.10) knows are used. A graph can be served in three ways:
by ONNX Runtime (:func:`model_config`), by ONNX Runtime which lets TensorRT build and run an engine
of it (:func:`accelerated_config`), and as a plan that was built before (:func:`tensorrt_config`).
"""

import math
from collections.abc import Mapping
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.grpc.model_config_pb2 import ModelConfig

from client.wire.contract import AUDIO_SIGNAL, CONTRACT_PARAMETER, Contract, Route
from export.engine.plan import PLAN_FILE
from export.engine.profiles import Profile, Shape
from export.engine.switch import ONNXRUNTIME, TENSORRT
from export.serving import Serving
from export.tensors import AUDIO_SIGNAL_LENGTH, ENCODER, PREPROCESSOR, Model, Pipeline, Tensor

MAX_BATCH_SIZE: Final = 16
WARMUP_S: Final = 2.0
"""Of audio for each step: long enough for every kernel, short enough not to delay the start."""

ACCELERATOR_CACHE: Final = "/tmp/tensorrt_cache"  # noqa: S108  # in the server's container
"""Where ONNX Runtime keeps the engines it builds; lost with the container unless mounted."""
ACCELERATOR_WORKSPACE_BYTES: Final = 4 << 30

_Group: Final = model_config_pb2.ModelInstanceGroup
_LEAST_PRIORITY: Final = model_config_pb2.ModelOptimizationPolicy.PRIORITY_MIN
"""For the first step: under overload what has begun is finished first, and requests wait, and are
refused, before anything was computed for them. Only the embedded server heeds it."""
_CUDNN_HEURISTIC: Final = "1"
"""ONNX Runtime's default searches exhaustively, again for every new shape."""
_PRECISION_MODES: Final = {"fp16": "FP16", "int8": "INT8"}
"""ONNX Runtime builds weakly typed networks with TensorRT 10: a graph's lower precision is used
only if it is allowed here too."""


def model_name(name: str, model: Model) -> str:
    """``demo``'s encoder is ``demo_encoder``."""
    return step_name(name, model.role)


def step_name(name: str, role: str) -> str:
    """``demo`` and ``encoder`` are ``demo_encoder``."""
    return f"{name}_{role}"


def model_config(name: str, model: Model, serving: Serving) -> ModelConfig:
    """The configuration of one graph of the pipeline called ``name``, run by ONNX Runtime."""
    config = _model_config(name, model, ONNXRUNTIME, serving)
    kind = _Group.KIND_CPU if serving.cpu else _Group.KIND_AUTO
    config.instance_group[0].kind = kind
    # Idle threads spin: those of the small steps would take the encoder's cores.
    threads = serving.threads if model.role == ENCODER else 1
    if threads:
        config.parameters["intra_op_thread_count"].string_value = str(threads)
    config.parameters["cudnn_conv_algo_search"].string_value = _CUDNN_HEURISTIC
    if model.role == PREPROCESSOR:
        config.optimization.priority = _LEAST_PRIORITY
    return config


def accelerated_config(
    name: str, model: Model, serving: Serving, profiles: Mapping[str, Profile], precision: str
) -> ModelConfig:
    """As :func:`model_config`, but on a GPU ONNX Runtime runs the graph with TensorRT.

    The engine is built for the shapes in ``profiles`` and kept in ``ACCELERATOR_CACHE``. The
    parameters are those that Triton's backend has since its pull request 237 of 2024, before
    24.10; it refuses a model with any other.
    """
    config = model_config(name, model, serving)
    accelerators = config.optimization.execution_accelerators
    parameters = accelerators.gpu_execution_accelerator.add(name=TENSORRT).parameters
    if precision in _PRECISION_MODES:
        parameters["precision_mode"] = _PRECISION_MODES[precision]
    parameters["max_workspace_size_bytes"] = str(ACCELERATOR_WORKSPACE_BYTES)
    parameters["trt_engine_cache_enable"] = "1"
    parameters["trt_engine_cache_path"] = ACCELERATOR_CACHE
    parameters["trt_timing_cache_enable"] = "1"
    parameters["trt_timing_cache_path"] = ACCELERATOR_CACHE
    parameters["trt_profile_min_shapes"] = _shapes({n: p.min for n, p in profiles.items()})
    parameters["trt_profile_opt_shapes"] = _shapes({n: p.opt for n, p in profiles.items()})
    parameters["trt_profile_max_shapes"] = _shapes({n: p.max for n, p in profiles.items()})
    return config


def tensorrt_config(name: str, model: Model, serving: Serving) -> ModelConfig:
    """The configuration of the same model as a TensorRT plan, which only GPUs run.

    No CUDA graphs: Triton runs them over the padding of a larger batch, whose content is undefined.
    """
    config = _model_config(name, model, TENSORRT, serving)
    config.instance_group[0].kind = _Group.KIND_GPU
    config.default_model_filename = PLAN_FILE
    return config


def add_warmup(config: ModelConfig, model: Model, contract: Contract) -> None:
    """Let every instance run once on ``WARMUP_S`` seconds of silence before the model is ready.

    Lengths between models are 0 too: what is computed is thrown away, and as long as any.
    """
    sizes = _warmup_sizes(contract)
    warmup = config.model_warmup.add(name="silence", batch_size=1)
    for tensor in model.inputs:
        if tensor.name != AUDIO_SIGNAL_LENGTH:
            axes = tensor.axes if tensor.ragged else tensor.axes[1:]
            warmup.inputs[tensor.name].CopyFrom(
                model_config_pb2.ModelWarmup.Input(
                    data_type=_data_type(tensor),
                    dims=[axis if isinstance(axis, int) else sizes[axis] for axis in axes],
                    zero_data=True,
                )
            )


def set_version(config: ModelConfig, version: int) -> None:
    """Let ``config`` be of this version of the model, and an ensemble's steps too.

    A server that polls its repository replaces the models of a pipeline one by one. An ensemble
    then finds a step of another version missing, where it would take another export's.
    """
    config.version_policy.specific.versions[:] = [version]
    for step in config.ensemble_scheduling.step:
        step.model_version = version


def version_of(config: ModelConfig) -> int:
    """The version that ``config`` is of: 1 unless it says so."""
    versions = config.version_policy.specific.versions
    return versions[0] if versions else 1


def _warmup_sizes(contract: Contract) -> dict[str, int]:
    """The length of each free axis of the pipeline's inputs, by its label."""
    rate_hz = contract.sample_rate_hz
    samples = min(max(contract.min_samples, round(WARMUP_S * rate_hz)), contract.max_samples)
    feature_frames = int(samples / rate_hz / contract.feature_stride_s)
    frames = math.ceil(feature_frames * contract.feature_stride_s / contract.frame_stride_s)
    return {"samples": samples, "feature_frames": feature_frames, "frames": frames}


def ensemble_config(name: str, pipeline: Pipeline, contract: Contract) -> ModelConfig:
    """The ensemble ``name``: audio in, the decoder's outputs out, the contract inside."""
    config = _ensemble_config(name, pipeline)
    config.parameters[CONTRACT_PARAMETER].string_value = contract.to_json()
    return config


def route_configs(
    name: str, pipeline: Pipeline, serving: Serving, route: Route
) -> tuple[ModelConfig, ModelConfig]:
    """A length range's own preprocessor, with its queue, and its ensemble, without a contract.

    The ensemble's other steps are those of the pipeline called ``name``.
    """
    preprocessor = model_config(name, pipeline.preprocessor, serving)
    preprocessor.name += route.model.removeprefix(name)
    ensemble = _ensemble_config(name, pipeline)
    ensemble.name = route.model
    ensemble.ensemble_scheduling.step[0].model_name = preprocessor.name
    return preprocessor, ensemble


def route_name(model: str, range_s: float) -> str:
    """``demo`` for utterances of at most four seconds is ``demo_upto_4s``."""
    return f"{model}_upto_{range_s:g}s"


def routes(name: str, serving: Serving, contract: Contract) -> tuple[Route, ...]:
    """The length ranges of ``serving`` as clients are told of them."""
    lengths = {round(s * contract.sample_rate_hz): s for s in serving.ranges_s}
    return tuple(
        Route(n_samples, route_name(name, range_s))
        for n_samples, range_s in lengths.items()
        if contract.min_samples <= n_samples < contract.max_samples
    )


def _ensemble_config(name: str, pipeline: Pipeline) -> ModelConfig:
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
    return config


def config_text(config: ModelConfig) -> str:
    """The message as it stands in ``config.pbtxt``."""
    return str(text_format.MessageToString(config))


def parse_config(text: str) -> ModelConfig:
    """The message of a ``config.pbtxt``; raises ``text_format.ParseError``."""
    return text_format.Parse(text, ModelConfig())


def _model_config(name: str, model: Model, backend: str, serving: Serving) -> ModelConfig:
    """What every backend's configuration has: tensors, batching, instances for each device."""
    at_once = serving.instances if model.role == ENCODER else 1
    config = ModelConfig(
        name=model_name(name, model),
        backend=backend,
        max_batch_size=MAX_BATCH_SIZE,
        input=[_input(tensor) for tensor in model.inputs if tensor.name != AUDIO_SIGNAL_LENGTH],
        output=[_output(tensor) for tensor in model.outputs],
        instance_group=[_Group(count=at_once + serving.spare)],
    )
    ragged = any(tensor.ragged for tensor in model.inputs)
    batching = config.dynamic_batching
    batching.default_queue_policy.CopyFrom(_queue_policy(serving))
    if not serving.batched:
        batching.preferred_batch_size.append(1)
    else:
        delay_us = serving.queue_delay_us if ragged else serving.step_delay_us
        batching.max_queue_delay_microseconds = delay_us
        if serving.batch:
            batching.preferred_batch_size.extend(sorted({serving.batch, MAX_BATCH_SIZE}))
    if ragged:
        config.batch_input.add(
            kind=model_config_pb2.BatchInput.BATCH_ITEM_SHAPE,
            target_name=[AUDIO_SIGNAL_LENGTH],
            data_type=model_config_pb2.TYPE_INT32,
            source_input=[AUDIO_SIGNAL],
        )
    return config


def _queue_policy(serving: Serving) -> model_config_pb2.ModelQueuePolicy:
    """A queue with an end; a client may give its request less time in it."""
    return model_config_pb2.ModelQueuePolicy(
        max_queue_size=serving.queue_size,
        timeout_action=model_config_pb2.ModelQueuePolicy.REJECT,
        default_timeout_microseconds=serving.queue_timeout_us,
        allow_timeout_override=True,
    )


def _shapes(shapes: Mapping[str, Shape]) -> str:
    """Shapes as ONNX Runtime reads them: ``features:1x80x2,features_length:1x1``."""
    return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())


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
