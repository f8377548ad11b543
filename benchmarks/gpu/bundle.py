"""Everything that the GPU benchmark needs, as a folder for a machine that reaches no network.

::

    BUNDLE/
        bundle.json                       date, versions, models, how programs agree with NeMo
        wheels/                           onnxruntime-gpu, the Triton server, their needs
        project/                          this project's server, client and benchmarks
        models/NAME/
            repository/                   NAME_fp32 and NAME_fp16
            repository_throughput/        the same graphs, linked, served otherwise
            programs/fp32.pt2, fp16.pt2   the torch baseline

Weights are random: a model is as fast with them as trained. A large weight keeps the sign of each
number alone, times the weight's deviation, so that it compresses to two bits a number.

Runs where checkpoints are exported: it needs NeMo, and a package index for the wheels.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.errors import BundleError
from benchmarks.gpu.layout import (
    FACTS,
    MODELS,
    PRECISIONS,
    PROJECT,
    REPOSITORY,
    THROUGHPUT,
    WHEELS,
    ModelFacts,
)
from benchmarks.gpu.packages import fetch_wheels
from benchmarks.gpu.programs import load_program, save_programs
from benchmarks.pipeline import Pipeline, RuntimeOptions, host, noise
from benchmarks.report import PROJECT as ROOT
from benchmarks.report import describe, write_json
from client.wire.contract import FEATURES, FEATURES_LENGTH, LOG_PROBS
from export.assemble import Assembly, Recipe, assemble
from export.checkpoint import Checkpoint
from export.config import model_name
from export.configure import Layout, write_configs
from export.modules.decoder import Decoder
from export.serving import throughput
from export.verification.random_models import FULL_SIZE, SMALL, random_checkpoint, spread

TOOLS: Final = ("torch", "nemo_toolkit", "onnx", "onnxruntime")
SOURCES: Final = ("benchmarks", "client", "server")
SIZES: Final = {"full": FULL_SIZE, "small": SMALL}
CHECK_SECONDS: Final = (4.0, 1.5)
CHECK_TOLERANCE: Final = 1e-3
CORES: Final = 16
QUEUE_DELAY_US: Final = 50_000
"""Of the machine with the GPU, and what the throughput preset waits for there at most: batches of
that size fill sooner on a GPU than on the CPU that the preset's own delay is for."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class BundleOptions:
    """``models`` are names of random models; ``wheels`` go along unless the machine has all."""

    models: tuple[str, ...]
    size: str = "full"
    wheels: bool = True


@dataclass(frozen=True)
class Agreement:
    """How far a carried program or graph in float32 is from NeMo on this machine, as max-abs."""

    program: float
    graphs: float


class Acoustic(nn.Module):  # torch is not where types are checked
    """Features to tokens and log-probabilities: the exported encoder and decoder in one."""

    def __init__(self, checkpoint: Checkpoint, max_frames: int) -> None:
        super().__init__()
        encoder = checkpoint.model.encoder
        self.encoder = checkpoint.family.traceable(encoder, max_frames)
        self.decoder = Decoder(checkpoint.head)

    def forward(self, features: Tensor, features_length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``tokens``, ``log_probs`` and their length, as ``Decoder`` gives them.

        Args:
            features: of the module's type, shape = (B, F, T).
            features_length: int64, shape = (B, 1).
        """
        tokens, log_probs, length = self.decoder(*self.encoder(features, features_length))
        return tokens, log_probs, length


def make_bundle(
    folder: Path, options: BundleOptions, arguments: Iterable[str], progress: Progress
) -> None:
    """Fill the new folder ``folder``; ``arguments`` are the command's, for the record.

    Raises ``BundleError`` when a wheel cannot be fetched, or a carried model does not give
    NeMo's log-probabilities.
    """
    folder.mkdir(parents=True)
    agreements = {}
    for name in options.models:
        progress(f"{name}: exporting")
        agreements[name] = asdict(_add_model(folder / MODELS / name, name, options.size))
        progress(f"{name}: differs from NeMo by {agreements[name]}")
    for package in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / PROJECT / package, ignore=ignored)
    if options.wheels:
        progress("fetching wheels")
        fetch_wheels(folder / WHEELS)
    facts = {
        **describe(TOOLS, arguments, "benchmarks.gpu"),
        **asdict(options),
        "difference_from_nemo": agreements,
    }
    write_json(folder / "bundle.json", facts)


def sign_weights(module: nn.Module) -> None:
    """Make every number of a matrix or kernel its sign times the weight's deviation."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.squeeze().ndim >= 2:
                deviation = parameter.std()
                parameter.copy_(torch.where(parameter < 0, -deviation, deviation))


def _add_model(folder: Path, name: str, size: str) -> Agreement:
    architecture = SIZES[size][name]
    features = int(architecture.preprocessor["features"])
    checkpoint = random_checkpoint(architecture)
    sign_weights(checkpoint.model.encoder)
    spread(checkpoint, features)
    for precision in PRECISIONS:  # without the acceptance gate
        model = f"{name}_{precision}"
        assembly = assemble(checkpoint, Recipe(model, precision), folder / REPOSITORY)
        _add_throughput(folder, model, checkpoint, assembly)
    max_frames = checkpoint.contract.max_samples // checkpoint.hop_samples
    save_programs(Acoustic(checkpoint, max_frames).eval(), features, folder)
    facts = ModelFacts(
        title=architecture.name,
        parameters=sum(p.numel() for p in checkpoint.model.encoder.parameters()),
        sample_rate_hz=checkpoint.sample_rate_hz,
    )
    write_json(folder / FACTS, asdict(facts))
    return _checked(folder, name, checkpoint)


def _add_throughput(folder: Path, model: str, checkpoint: Checkpoint, assembly: Assembly) -> None:
    """The model served for throughput: configurations of its own, the same graphs.

    Hard links, which tar keeps, because ONNX Runtime refuses weights that lie, a symbolic link
    followed, elsewhere than the graph.
    """
    serving = replace(throughput(CORES), queue_delay_us=QUEUE_DELAY_US)
    obstacles = {record.role: record.tensorrt["obstacles"] for record in assembly.models.values()}
    pipeline = checkpoint.pipeline
    for step in pipeline.models:
        place = Path(model_name(model, step), str(assembly.contract.model_version))
        plain, linked = folder / REPOSITORY / place, folder / THROUGHPUT / place
        shutil.copytree(plain, linked, copy_function=os.link)
    layout = Layout(model, pipeline, assembly.contract, serving, None, obstacles)
    write_configs(folder / THROUGHPUT, layout.routed())


def _checked(folder: Path, name: str, checkpoint: Checkpoint) -> Agreement:
    """Read the model back as the other machine will, and compare it with NeMo."""
    utterances = [noise(round(seconds * checkpoint.sample_rate_hz)) for seconds in CHECK_SECONDS]
    pipeline = Pipeline(folder / REPOSITORY, f"{name}_fp32", RuntimeOptions())
    features = pipeline.features(utterances)
    graphs = host(pipeline.acoustic(features), (LOG_PROBS,))[LOG_PROBS]
    inputs = host(features, (FEATURES, FEATURES_LENGTH))
    nemo = _nemo_log_probs(checkpoint, inputs)
    module = load_program(folder, "fp32", torch.device("cpu"))
    with torch.no_grad():
        program = module(*(torch.from_numpy(array) for array in inputs.values()))[1].numpy()
    found = Agreement(program=_difference(program, nemo), graphs=_difference(graphs, nemo))
    if not max(found.program, found.graphs) <= CHECK_TOLERANCE:
        raise BundleError(
            f"{name}: log_probs differ from NeMo's by {found.program:.1e} in the torch program and"
            f" {found.graphs:.1e} in the graphs, allowed is {CHECK_TOLERANCE:.0e}: the export is"
            " wrong"
        )
    return found


def _nemo_log_probs(checkpoint: Checkpoint, inputs: Mapping[str, Any]) -> list[Any]:
    """NeMo's own, one utterance at a time; float32 [S, V] each."""
    outputs = []
    with torch.no_grad():
        for features, length in zip(inputs[FEATURES], inputs[FEATURES_LENGTH], strict=True):
            frames = int(length[0])
            encoded, _ = checkpoint.model.encoder(
                audio_signal=torch.from_numpy(features[None, :, :frames]),
                length=torch.tensor([frames]),
            )
            outputs.append(checkpoint.head(encoder_output=encoded)[0].numpy())
    return outputs


def _difference(batch: Any, expected: list[Any]) -> float:
    pairs = zip(batch, expected, strict=True)
    return max(float(np.abs(actual[: len(nemo)] - nemo).max()) for actual, nemo in pairs)
