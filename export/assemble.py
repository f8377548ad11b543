"""Checkpoint to models in a folder: three graphs in one precision, their configs, the ensemble."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from client.wire.contract import Contract
from export.checkpoint import Checkpoint, objections, refuse
from export.config import MAX_BATCH_SIZE, model_name
from export.configure import Layout, write_configs
from export.engine.operators import obstacles
from export.engine.profiles import profiles
from export.engine.switch import TENSORRT
from export.errors import ExportError
from export.graph import export_graph
from export.layout import GRAPH_FILE
from export.modules.decoder import Decoder
from export.modules.preprocessor import Preprocessor
from export.precision.feeds import Graphs
from export.precision.fp16 import convert_model
from export.precision.int8 import Int8Options, quantise_encoder
from export.process import Progress, silent
from export.record import ModelRecord, file_hashes
from export.serving import DEFAULT_SERVING, Serving
from export.tensors import PREPROCESSOR, Model
from export.verification.cases import generated_cases, manifest_cases

EXAMPLE_S: Final = 10.0
"""Generated utterances up to this long, loud and silent ones included, show what fits fp16."""

MAX_CALIBRATION_UTTERANCES: Final = 512
"""Features are held in memory, so only every second, third … line of a longer manifest is used."""


@dataclass(frozen=True)
class Recipe:
    """How a checkpoint is exported.

    ``precision`` is one of ``export.verification.thresholds.THRESHOLDS``. With ``accelerator``
    ``"tensorrt"``, ONNX Runtime runs the graphs with TensorRT. ``max_duration_s`` None is the
    family's. ``calibration_manifest``: speech that int8 takes its ranges from. ``serving``: how
    Triton batches and runs it. ``least_agreement``: the least share of frames in which int8's
    token is fp32's; speed measurements with random weights set it to 0.
    """

    name: str
    precision: str = "fp32"
    accelerator: str | None = None
    max_duration_s: float | None = None
    calibration_manifest: Path | None = None
    serving: Serving = DEFAULT_SERVING
    least_agreement: float = Int8Options.least_agreement


@dataclass(frozen=True)
class Assembly:
    """What was written: the contract, and a record of each graph by the model's name."""

    contract: Contract
    models: Mapping[str, ModelRecord]


def assemble(
    checkpoint: Checkpoint, recipe: Recipe, folder: Path, progress: Progress = silent
) -> Assembly:
    """Write the models of ``checkpoint`` into ``folder``.

    Raises ``CheckpointError`` with every objection to the checkpoint, ``GraphError``, or
    ``ExportError`` when there is nothing to calibrate with.
    """
    refuse(checkpoint.name, objections(checkpoint))
    contract = checkpoint.contract_for(recipe.precision, recipe.max_duration_s)
    calibration = _calibration(recipe, contract)
    pipeline = checkpoint.pipeline
    version = str(contract.model_version)
    paths = {
        model.role: folder / model_name(recipe.name, model) / version / GRAPH_FILE
        for model in pipeline.models
    }
    for model, module in zip(pipeline.models, _modules(checkpoint, contract), strict=True):
        progress(f"exporting the {model.role}")
        paths[model.role].parent.mkdir(parents=True)
        export_graph(module, model, _example(model), paths[model.role])
    kept = _reduced(Graphs(**paths), recipe, contract, calibration, progress)
    records = {
        model_name(recipe.name, model): _recorded(
            model, contract, paths[model.role], kept.get(model.role, ())
        )
        for model in pipeline.models
    }
    found = {record.role: record.tensorrt["obstacles"] for record in records.values()}
    layout = Layout(
        recipe.name, pipeline, contract, recipe.serving, recipe.accelerator, found
    ).routed()
    write_configs(folder, layout)
    return Assembly(layout.contract, records)


def _calibration(recipe: Recipe, contract: Contract) -> list[NDArray[Any]]:
    if recipe.precision != "int8":
        return []
    if recipe.calibration_manifest is None:
        raise ExportError(
            "int8 takes its ranges from speech: give a calibration_manifest of some hundred"
            " utterances like those to be transcribed",
            options=("calibration_manifest",),
        )
    cases = manifest_cases(recipe.calibration_manifest, contract)
    step = math.ceil(len(cases) / MAX_CALIBRATION_UTTERANCES)
    return [case.audio for case in cases[::step]]


def _reduced(
    graphs: Graphs,
    recipe: Recipe,
    contract: Contract,
    calibration: list[NDArray[Any]],
    progress: Progress,
) -> Mapping[str, tuple[str, ...]]:
    """Convert the graphs to the recipe's precision; returns the nodes kept in fp32, by role."""
    if recipe.precision == "fp16":
        progress("converting to fp16")
        examples = [case.audio for case in generated_cases(contract, EXAMPLE_S)]
        return convert_model(graphs, examples)
    if recipe.precision == "int8":
        options = Int8Options(
            symmetric_activations=recipe.accelerator == TENSORRT,
            least_agreement=recipe.least_agreement,
        )
        quantised = quantise_encoder(graphs, graphs.encoder, calibration, options, progress)
        return {"encoder": quantised.kept_in_fp32}
    return {}


def _recorded(model: Model, contract: Contract, path: Path, kept: tuple[str, ...]) -> ModelRecord:
    """The build record of a finished graph."""
    found = obstacles(onnx.load(path, load_external_data=False))
    shapes = {} if found else profiles(model, contract, MAX_BATCH_SIZE)
    return ModelRecord(
        role=model.role,
        files=file_hashes(path.parent),
        kept_in_fp32=kept,
        tensorrt={
            "obstacles": found,
            "profiles": {name: profile.to_json() for name, profile in shapes.items()},
        },
    )


def _modules(checkpoint: Checkpoint, contract: Contract) -> tuple[nn.Module, nn.Module, nn.Module]:
    max_frames = contract.max_samples // checkpoint.hop_samples
    return (
        Preprocessor(checkpoint.model.preprocessor.featurizer),
        checkpoint.family.traceable(checkpoint.model.encoder, max_frames),
        Decoder(checkpoint.head, contract.top_k),
    )


def _example(model: Model) -> tuple[torch.Tensor, ...]:
    """Two utterances of different lengths to trace with; any values do."""
    generator = torch.Generator().manual_seed(0)
    frames = 100
    if model.role == PREPROCESSOR:
        lengths = torch.tensor([[12000], [16000]], dtype=torch.int32)
        audio = torch.randint(-(2**15), 2**15, (int(lengths.sum()),), generator=generator)
        return audio.to(torch.int16), lengths
    channels = model.inputs[0].axes[1]
    values = torch.randn(2, int(channels), frames, generator=generator)
    return values, torch.tensor([[frames // 2], [frames]])
