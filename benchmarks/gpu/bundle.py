"""Everything that the GPU benchmark needs, as a folder for a machine that reaches no network.

::

    BUNDLE/
        bundle.json                       date, versions, models, how programs agree with NeMo
        wheels/                           onnxruntime-gpu, the Triton server, their needs
        project/                          this project's server, client and benchmarks
        models/NAME/
            weights.json                  how the large weights are drawn again
            repository/                   NAME_fp32 and NAME_fp16, without those weights
            repository_throughput/        the same served otherwise: configurations only
            programs/fp32.pt2, fp16.pt2   the torch baseline, with zeros in their place

Runs where checkpoints are exported: it needs NeMo, and a package index for the wheels.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.environment import describe
from benchmarks.errors import BundleError
from benchmarks.gpu.baseline import load_program
from benchmarks.gpu.layout import (
    FACTS,
    MODELS,
    PROGRAMS,
    PROJECT,
    REPOSITORY,
    THROUGHPUT,
    WEIGHTS,
    WHEELS,
    ModelFacts,
)
from benchmarks.gpu.programs import PRECISIONS, export_programs, save_program
from benchmarks.gpu.strip import draw_parameters, strip_graph, strip_program
from benchmarks.gpu.weights import Derived, Weights
from benchmarks.gpu.wheels import fetch_wheels
from benchmarks.pipeline import Pipeline, RuntimeOptions, graph_path, host, noise
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
SIZES: Final = {"full": (FULL_SIZE, 1 << 14), "small": (SMALL, 1 << 9)}
"""Models of each size, and the number of elements from which on their weights do not travel."""

CHECK_SECONDS: Final = (4.0, 1.5)
DTYPES: Final = {"fp32": "float32", "fp16": "float16"}
CHECK_TOLERANCE: Final = 1e-3
CORES: Final = 16
QUEUE_DELAY_US: Final = 50_000
"""Of the machine with the GPU, and what the throughput preset waits for there at most: batches of
that size fill sooner on a GPU than on the CPU that the preset's own delay is for."""
ROOT: Final = Path(__file__).resolve().parents[2]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class BundleOptions:
    """``models`` are names of random models; ``wheels`` go along unless the machine has all."""

    models: tuple[str, ...]
    size: str = "full"
    wheels: bool = True


@dataclass(frozen=True)
class Parity:
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
        """``tokens``, ``log_probs`` and their length, as :class:`Decoder` gives them.

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

    Raises :class:`BundleError` when a wheel cannot be fetched, or a carried model does not give
    NeMo's log-probabilities.
    """
    folder.mkdir(parents=True)
    parity = {}
    for name in options.models:
        progress(f"{name}: exporting")
        parity[name] = asdict(_add_model(folder / MODELS / name, name, options.size))
        progress(f"{name}: differs from NeMo by {parity[name]}")
    _add_sources(folder / PROJECT)
    if options.wheels:
        progress("fetching wheels")
        fetch_wheels(folder / WHEELS)
    facts = {
        **describe(TOOLS, arguments, "benchmarks.gpu"),
        **asdict(options),
        "difference_from_nemo": parity,
    }
    (folder / "bundle.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _add_model(folder: Path, name: str, size: str) -> Parity:
    architectures, large = SIZES[size]
    architecture = architectures[name]
    features = int(architecture.preprocessor["features"])
    checkpoint = random_checkpoint(architecture)
    draws = draw_parameters(checkpoint.model.encoder, name, large)
    spread(checkpoint, features)
    weights = Weights(draws=draws)
    for precision in PRECISIONS:
        graph = _add_graphs(folder, f"{name}_{precision}", precision, checkpoint)
        tensors = strip_graph(graph, list(draws.values()))
        _check_precision(graph, precision, tensors)
        weights.data_files[f"{graph.relative_to(folder)}.data"] = tensors
    max_frames = checkpoint.contract.max_samples // checkpoint.hop_samples
    module = Acoustic(checkpoint, max_frames).eval()
    for precision, program in export_programs(module, features):
        place = f"{PROGRAMS}/{precision}.pt2"
        weights.programs[place] = strip_program(program, list(draws.values()))
        save_program(program, folder / place)
    facts = ModelFacts(
        title=architecture.name,
        parameters=sum(p.numel() for p in checkpoint.model.encoder.parameters()),
        sample_rate_hz=checkpoint.sample_rate_hz,
    )
    (folder / FACTS).write_text(json.dumps(asdict(facts)), encoding="utf-8")
    (folder / WEIGHTS).write_text(weights.to_json(), encoding="utf-8")
    return _checked(folder, name, checkpoint)


def _add_graphs(folder: Path, model: str, precision: str, checkpoint: Checkpoint) -> Path:
    """Export without the acceptance gate; the path of the encoder's graph."""
    assembly = assemble(checkpoint, Recipe(model, precision), folder / REPOSITORY)
    _add_throughput(folder / THROUGHPUT, model, checkpoint, assembly)
    return graph_path(folder / REPOSITORY, model, "encoder")


def _add_throughput(
    repository: Path, model: str, checkpoint: Checkpoint, assembly: Assembly
) -> None:
    """Configurations for throughput, without graphs: ``layout.link_graphs`` puts them there."""
    serving = replace(throughput(CORES), queue_delay_us=QUEUE_DELAY_US)
    obstacles = {record.role: record.tensorrt["obstacles"] for record in assembly.models.values()}
    pipeline = checkpoint.pipeline
    version = str(assembly.contract.model_version)
    for step in pipeline.models:
        (repository / model_name(model, step) / version).mkdir(parents=True)
    layout = Layout(model, pipeline, assembly.contract, serving, None, obstacles)
    write_configs(repository, layout.routed())


def _check_precision(graph: Path, precision: str, tensors: Sequence[Derived]) -> None:
    if DTYPES[precision] not in {tensor.dtype for tensor in tensors}:
        raise BundleError(
            f"{graph}: expected large weights as {DTYPES[precision]} made of what was drawn, found"
            f" {len(tensors)} of other types: see how the graph is exported"
        )


def _checked(folder: Path, name: str, checkpoint: Checkpoint) -> Parity:
    """Read the model back as the other machine will, and compare it with NeMo."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copytree(folder, Path(scratch) / name))
        weights = Weights.from_json((copy / WEIGHTS).read_text(encoding="utf-8"))
        weights.write_data_files(copy)
        rate_hz = checkpoint.sample_rate_hz
        utterances = [noise(round(seconds * rate_hz)) for seconds in CHECK_SECONDS]
        pipeline = Pipeline(copy / REPOSITORY, f"{name}_fp32", RuntimeOptions())
        features = pipeline.features(utterances)
        graphs = host(pipeline.acoustic(features), (LOG_PROBS,))[LOG_PROBS]
        inputs = host(features, (FEATURES, FEATURES_LENGTH))
        nemo = _nemo_log_probs(checkpoint, inputs)
        module = load_program(copy, "fp32", torch.device("cpu"))
        with torch.no_grad():
            program = module(*(torch.from_numpy(array) for array in inputs.values()))[1].numpy()
    parity = Parity(
        program=max(_differences(program, nemo)), graphs=max(_differences(graphs, nemo))
    )
    if not max(parity.program, parity.graphs) <= CHECK_TOLERANCE:
        raise BundleError(
            f"{name}: log_probs differ from NeMo's by {parity.program:.1e} in the torch program and"
            f" {parity.graphs:.1e} in the graphs, allowed is {CHECK_TOLERANCE:.0e}: a weight was"
            " taken for a draw that it is not made of, or the export is wrong"
        )
    return parity


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


def _differences(batch: Any, expected: list[Any]) -> list[float]:
    return [
        float(np.abs(actual[: len(nemo)] - nemo).max())
        for actual, nemo in zip(batch, expected, strict=True)
    ]


def _add_sources(folder: Path) -> None:
    for package in SOURCES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
