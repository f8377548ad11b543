"""A repository with a model and its variants, which share all steps that they do not change.

Flow: exported repository → the model's steps, and for each variant one changed step and an ensemble
→ a folder that one server serves, so that variants can take turns in one run. Every step computes
with one thread: more of them spin when they wait for each other, and that processor time would hide
what is measured.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import onnx
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from benchmarks.models import read_config, read_contract
from benchmarks.pipeline import ROLES, graph_path
from benchmarks.wire import graphs
from client.wire.contract import AUDIO_SIGNAL, CONTRACT_PARAMETER, LOG_PROBS, Contract

Change = Callable[[onnx.ModelProto], onnx.ModelProto]

FLOAT: Final = "float"
HALF: Final = "half"
LARGE: Final = "large"
LARGE_HALF: Final = "large_half"

_PIECES: Final = tuple(f"▁{number}" for number in range(graphs.LARGE_VOCABULARY - 1))


@dataclass(frozen=True)
class Variant:
    """One step of the model with its graph changed.

    ``types`` are the tensors of another type by name, and ``large`` says whether ``log_probs`` and
    contract are those of the large vocabulary.
    """

    role: str
    changes: tuple[Change, ...]
    types: Mapping[str, Any]
    large: bool = False


VARIANTS: Final = {
    FLOAT: Variant(
        "preprocessor", (graphs.float_audio,), {AUDIO_SIGNAL: model_config_pb2.TYPE_FP32}
    ),
    HALF: Variant("decoder", (graphs.half_log_probs,), {LOG_PROBS: model_config_pb2.TYPE_FP16}),
    LARGE: Variant("decoder", (graphs.large_vocabulary,), {}, large=True),
    LARGE_HALF: Variant(
        "decoder",
        (graphs.large_vocabulary, graphs.half_log_probs),
        {LOG_PROBS: model_config_pb2.TYPE_FP16},
        large=True,
    ),
}


def variant_name(model: str, variant: str) -> str:
    """The ensemble's name; the model itself for no ``variant``."""
    return f"{model}_{variant}" if variant else model


def write_variants(repository: Path, model: str, folder: Path) -> None:
    """Fill the empty ``folder`` with ``model`` of the ``repository`` and all its variants.

    Raises :class:`ModelError` when there is no such model.
    """
    contract = read_contract(repository, model)
    _write_config(read_config(repository, model), folder)
    for role in ROLES:
        version = _write_config(read_config(repository, f"{model}_{role}"), folder)
        (version / "model.onnx").symlink_to(graph_path(repository, model, role).resolve())
    for name, variant in VARIANTS.items():
        _write_step(repository, model, name, folder)
        config = read_config(repository, model)
        config.name = variant_name(model, name)
        for step in config.ensemble_scheduling.step:
            if step.model_name == f"{model}_{variant.role}":
                step.model_name = f"{config.name}_{variant.role}"
        if variant.large:
            text = _large_contract(contract).to_json()
            config.parameters[CONTRACT_PARAMETER].string_value = text
        _write_changed(config, variant, folder)


def _write_step(repository: Path, model: str, name: str, folder: Path) -> None:
    """The changed step of the variant ``name``."""
    variant = VARIANTS[name]
    graph = onnx.load(graph_path(repository, model, variant.role))
    for change in variant.changes:
        graph = change(graph)
    config = read_config(repository, f"{model}_{variant.role}")
    config.name = f"{variant_name(model, name)}_{variant.role}"
    onnx.save(graph, _write_changed(config, variant, folder) / "model.onnx")


def _write_changed(config: Any, variant: Variant, folder: Path) -> Path:
    for tensor in (*config.input, *config.output):
        tensor.data_type = variant.types.get(tensor.name, tensor.data_type)
        if variant.large and tensor.name == LOG_PROBS:
            tensor.dims[1] = graphs.LARGE_VOCABULARY
    del config.model_warmup[:]  # with inputs of the former types
    return _write_config(config, folder)


def _write_config(config: Any, folder: Path) -> Path:
    """Where the version's files go."""
    if config.backend:  # an ensemble has none
        config.parameters["intra_op_thread_count"].string_value = "1"
    version: Path = folder / config.name / str(config.version_policy.specific.versions[0])
    version.mkdir(parents=True)
    text = text_format.MessageToString(config)
    (folder / config.name / "config.pbtxt").write_text(text, encoding="utf-8")
    return version


def _large_contract(contract: Contract) -> Contract:
    return replace(
        contract,
        vocabulary=_PIECES,
        vocabulary_kind="sentencepiece",
        blank=len(_PIECES),
        frame_stride_s=contract.frame_stride_s * graphs.FRAMES_KEPT,
    )
