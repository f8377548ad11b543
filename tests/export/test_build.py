"""What a build leaves in the repository is what DESIGN.md's contract table says."""

import onnx
import pytest
from tritonclient.grpc import model_config_pb2

from client.wire.contract import Contract
from export.config import parse_config
from export.graph import IR_VERSION, OPSET
from export.repository import graph_path
from tests.export.support import NAME, contents

INNER = ("preprocessor", "encoder", "decoder")
FRAME_STRIDES_S = {
    "small_quartznet": 0.02,
    "small_jasper": 0.02,
    "small_citrinet": 0.08,
    "small_conformer": 0.04,
    "small_fastconformer": 0.08,
    "small_local": 0.08,
    "small_long": 0.08,
    "small_lstm": 0.04,
    "small_hybrid": 0.08,
}
PREPROCESSOR_LENGTHS = "audio_signal_length"


def table(exported):
    """Model: (inputs, outputs), each name: (type, dims of one utterance)."""
    features = exported.checkpoint.model.preprocessor.featurizer.nfilt
    channels = exported.checkpoint.head.decoder_layers[0].in_channels
    audio = {"audio_signal": ("INT16", [-1])}
    mel = {"features": ("FP32", [features, -1]), "features_length": ("INT64", [1])}
    encoded = {"encoded": ("FP32", [channels, -1]), "encoded_length": ("INT64", [1])}
    result = {
        "tokens": ("INT32", [-1]),
        "log_probs": ("FP32", [-1, len(exported.checkpoint.vocabulary) + 1]),
        "log_probs_length": ("INT64", [1]),
    }
    if len(exported.checkpoint.vocabulary) >= 32:  # smaller than log_probs
        result |= {"top_tokens": ("INT32", [-1, 16]), "top_log_probs": ("FP32", [-1, 16])}
    return {
        f"{NAME}_preprocessor": (audio, mel),
        f"{NAME}_encoder": (mel, encoded),
        f"{NAME}_decoder": (encoded, result),
        NAME: (audio, result),
    }


def config(exported, name):
    return parse_config((exported.repository / name / "config.pbtxt").read_text())


def tensors(messages):
    return {
        message.name: (
            model_config_pb2.DataType.Name(message.data_type).removeprefix("TYPE_"),
            list(message.dims),
        )
        for message in messages
    }


def test_the_repository_holds_three_graphs_and_an_ensemble_and_nothing_else(exported):
    version = str(exported.contract.model_version)
    graphs = {f"{NAME}_{role}/{version}/model.onnx" for role in INNER}
    configs = {f"{NAME}_{role}/config.pbtxt" for role in INNER} | {f"{NAME}/config.pbtxt"}
    plan_configs = {f"{NAME}_{role}/configs/tensorrt.pbtxt" for role in ("encoder", "decoder")}
    assert set(contents(exported.repository)) == graphs | configs | plan_configs
    assert (exported.repository / NAME / version).is_dir()
    assert list(exported.repository.parent.iterdir()) == [exported.repository]


def test_configurations_declare_the_tensors_of_the_contract_table(exported):
    for name, (inputs, outputs) in table(exported).items():
        written = config(exported, name)
        assert written.name == name
        assert tensors(written.input) == inputs
        assert tensors(written.output) == outputs


def test_only_audio_is_ragged_and_its_lengths_come_from_triton(exported):
    for role in INNER:
        written = config(exported, f"{NAME}_{role}")
        ragged = [tensor.name for tensor in written.input if tensor.allow_ragged_batch]
        assert ragged == (["audio_signal"] if role == "preprocessor" else [])
    (lengths,) = config(exported, f"{NAME}_preprocessor").batch_input
    assert lengths.kind == model_config_pb2.BatchInput.BATCH_ITEM_SHAPE
    assert lengths.data_type == model_config_pb2.TYPE_INT32
    assert list(lengths.target_name) == [PREPROCESSOR_LENGTHS]
    assert list(lengths.source_input) == ["audio_signal"]


@pytest.mark.parametrize("role", INNER)
def test_every_model_batches_with_a_bounded_queue_on_gpu_or_cpu(exported, role):
    written = config(exported, f"{NAME}_{role}")
    assert written.backend == "onnxruntime"
    assert written.max_batch_size > 1
    assert written.dynamic_batching.default_queue_policy.max_queue_size > 0
    (group,) = written.instance_group
    assert group.kind == model_config_pb2.ModelInstanceGroup.KIND_AUTO


def test_the_ensemble_passes_each_models_outputs_to_the_next(exported):
    known = {"audio_signal"}
    steps = config(exported, NAME).ensemble_scheduling.step
    assert [step.model_name for step in steps] == [f"{NAME}_{role}" for role in INNER]
    for step in steps:
        inputs, outputs = table(exported)[step.model_name]
        assert set(step.input_map) == set(inputs)
        assert set(step.output_map) == set(outputs)
        assert set(step.input_map.values()) <= known
        known |= set(step.output_map.values())
    last = set(steps[-1].output_map.values())
    # Triton 2.51 deadlocks on a request for some outputs if one of the others feeds a step.
    assert {tensor.name for tensor in config(exported, NAME).output} <= last


def test_the_contract_in_the_ensemble_is_the_checkpoints(exported):
    text = config(exported, NAME).parameters["contract"].string_value
    contract = Contract.from_json(text)
    assert contract == exported.checkpoint.contract == exported.contract
    assert contract.vocabulary == exported.checkpoint.vocabulary
    assert contract.checkpoint == exported.checkpoint.name
    assert contract.checkpoint_sha256 == exported.checkpoint.sha256
    assert (contract.sample_rate_hz, contract.feature_stride_s) == (16000, 0.01)
    assert contract.frame_stride_s == FRAME_STRIDES_S[contract.checkpoint]


@pytest.mark.parametrize("role", INNER)
def test_graphs_are_pinned_for_old_runtimes_and_free_in_batch_and_time(exported, role):
    name = f"{NAME}_{role}"
    graph = onnx.load(graph_path(exported.repository, name))
    assert {opset.domain: opset.version for opset in graph.opset_import} == {"": OPSET} == {"": 17}
    assert graph.ir_version == IR_VERSION == 8
    inputs, outputs = table(exported)[name]
    for value in (*graph.graph.input, *graph.graph.output):
        shape = value.type.tensor_type.shape.dim
        # A ragged batch is one flat axis; lengths that Triton makes are in no configuration.
        declared = {PREPROCESSOR_LENGTHS: ("INT32", [1])} | inputs | outputs
        dims = [-1] if value.name == "audio_signal" else [-1, *declared[value.name][1]]
        assert [dim.dim_value or -1 for dim in shape] == dims
        assert all(dim.dim_value or dim.dim_param for dim in shape)
