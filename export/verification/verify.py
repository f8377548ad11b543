"""Verification in stages: declared tensors, then values alone, in batches, and through Triton.

Every stage runs to its end and every difference is reported; only then is anything raised.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import onnx
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tritonclient.grpc.model_config_pb2 import ModelConfig

from client.contract import CONTRACT_PARAMETER, Contract
from client.errors import ContractError
from export.build import contract_of, pipeline_of
from export.checkpoint import Checkpoint
from export.config import ensemble_config, model_config, model_name, parse_config
from export.errors import GraphError, ParityError, RepositoryError
from export.graph import check_graph
from export.repository import CONFIG_FILE, graph_path
from export.verification.cases import Case
from export.verification.onnx_pipeline import OnnxPipeline
from export.verification.outputs import (
    BATCH_TOLERANCE,
    FEATURES_TOLERANCE,
    LOG_PROBS_TOLERANCE,
    Outputs,
    max_abs,
    wrong_tokens,
)
from export.verification.reference import log_mel_difference, run_nemo
from export.verification.triton import BatchStatistics, batch_statistics, run_triton

BATCH_SIZE: Final = 7
SHUFFLE_SEED: Final = 0


@dataclass(frozen=True)
class Row:
    """One utterance's differences as max-abs, and its transcripts.

    ``features``, ``log_probs`` and ``triton`` are against NeMo; ``batch`` is between the utterance
    alone and in a batch, in ONNX Runtime or through Triton, whichever is larger.
    """

    case: str
    samples: int
    features: float
    log_probs: float
    batch: float
    triton: float
    text: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Verification:
    """All rows, and how Triton batched them when many were in flight."""

    rows: tuple[Row, ...]
    batches: tuple[BatchStatistics, ...]

    @property
    def passed(self) -> bool:
        """Whether no row has a problem, and batches were formed at all."""
        return self.batched and not any(row.problems for row in self.rows)

    @property
    def batched(self) -> bool:
        """Whether some batch held more than one utterance; without one nothing was shown."""
        return len(self.rows) < 2 or any(
            batch.executions < batch.utterances for batch in self.batches
        )


def read_contract(repository: Path, name: str) -> Contract:
    """The contract in the ensemble's configuration.

    Raises :class:`RepositoryError` when there is none, or it is not of this version.
    """
    config = _read_config(repository, name)
    try:
        return Contract.from_json(config.parameters[CONTRACT_PARAMETER].string_value)
    except ContractError as error:
        raise RepositoryError(f"{repository / name / CONFIG_FILE}: {error}") from error


def check_declarations(checkpoint: Checkpoint, repository: Path, name: str) -> Iterator[str]:
    """Differences of graphs, configurations and contract from what ``checkpoint`` asks for.

    Raises :class:`RepositoryError` for a file that is missing or damaged.
    """
    pipeline = pipeline_of(checkpoint)
    contract = read_contract(repository, name)
    wanted = contract_of(checkpoint, contract.precision)
    for field in fields(Contract):
        actual, expected = getattr(contract, field.name), getattr(wanted, field.name)
        # A checkpoint may be renamed, and the exporter may be newer than the model.
        if actual != expected and field.name not in ("checkpoint", "exporter_version"):
            yield f"the contract of {name} has {field.name} {actual!r}, expected {expected!r}"
    for model in pipeline.models:
        graph = _read_graph(graph_path(repository, model_name(name, model)))
        try:
            check_graph(graph, model)
        except GraphError as error:
            yield str(error)
    configs = [
        *(model_config(name, model) for model in pipeline.models),
        ensemble_config(name, pipeline, contract),
    ]
    for config in configs:
        found = _read_config(repository, config.name)
        if (list(found.input), list(found.output)) != (list(config.input), list(config.output)):
            yield f"{config.name}'s configuration has other inputs or outputs than declared"


def verify(
    checkpoint: Checkpoint, repository: Path, name: str, cases: Sequence[Case], url: str
) -> Iterator[Row | Verification]:
    """Yield a :class:`Row` for each case as it is done, then the :class:`Verification`.

    ``url`` is the gRPC address of a Triton that serves ``repository``. Raises
    :class:`ParityError` with every wrong declaration, for such graphs cannot be compared, and
    :class:`ExportError` when something could not be run at all.
    """
    contract = read_contract(repository, name)
    pipeline = pipeline_of(checkpoint)
    if problems := list(check_declarations(checkpoint, repository, name)):
        raise ParityError("; ".join(problems) + ": build the model again")
    exported = OnnxPipeline(repository, name, pipeline, contract)
    batched = run_in_batches(exported, cases)
    names = [model_name(name, model) for model in pipeline.models]
    utterances = [case.audio for case in cases]
    before = batch_statistics(url, names)
    served = list(run_triton(url, name, contract, utterances))
    after = batch_statistics(url, names)
    served_alone = run_triton(url, name, contract, utterances, in_flight=1)
    rows = []
    for case, *ways in zip(cases, batched, served, served_alone, strict=True):
        runs = Runs(exported.run([case.audio])[0], *ways)
        rows.append(compare(checkpoint, case, runs))
        yield rows[-1]
    yield Verification(tuple(rows), tuple(map(BatchStatistics.since, after, before)))


@dataclass(frozen=True)
class Runs:
    """One utterance's outputs: by the bare graphs and through Triton, alone and batched."""

    alone: Outputs
    batched: Outputs
    served: Outputs
    served_alone: Outputs


def run_in_batches(exported: OnnxPipeline, cases: Sequence[Case]) -> list[Outputs]:
    """Outputs in the order of ``cases``, run in batches of mixed lengths."""
    order = list(range(len(cases)))
    random.Random(SHUFFLE_SEED).shuffle(order)
    outputs: dict[int, Outputs] = {}
    for start in range(0, len(order), BATCH_SIZE):
        batch = order[start : start + BATCH_SIZE]
        outputs |= zip(batch, exported.run([cases[i].audio for i in batch]), strict=True)
    return [outputs[index] for index in range(len(cases))]


def compare(checkpoint: Checkpoint, case: Case, runs: Runs) -> Row:
    """Compare the runs of one utterance with NeMo's, and those in a batch with those alone."""
    nemo = run_nemo(checkpoint, case.audio)
    problems = []
    if runs.alone.log_probs.shape != nemo.log_probs.shape:
        problems.append(
            f"alone: log_probs of shape {runs.alone.log_probs.shape},"
            f" expected {nemo.log_probs.shape}"
        )
    if case.digital_silence:
        features = log_mel_difference(checkpoint, case.audio)
        nemo = runs.alone  # normalised rounding noise: only our own runs are comparable
    else:
        features = max_abs(nemo.features, runs.alone.features)
    log_probs = max_abs(nemo.log_probs, runs.alone.log_probs)
    batch = max(
        max_abs(runs.alone.log_probs, runs.batched.log_probs),
        max_abs(runs.served_alone.log_probs, runs.served.log_probs),
    )
    triton = max(
        max_abs(nemo.log_probs, served.log_probs) for served in (runs.served, runs.served_alone)
    )
    problems += _beyond("features", features, FEATURES_TOLERANCE)
    problems += _beyond("log_probs", log_probs, LOG_PROBS_TOLERANCE)
    problems += _beyond("batch", batch, BATCH_TOLERANCE)
    problems += _beyond("triton", triton, LOG_PROBS_TOLERANCE)
    for way in fields(Runs):
        outputs: Outputs = getattr(runs, way.name)
        if wrong := wrong_tokens(nemo, outputs, LOG_PROBS_TOLERANCE):
            problems.append(f"{way.name}: {wrong} of {len(nemo.tokens)} tokens differ")
        if outputs.text != nemo.text:
            problems.append(f"{way.name}: transcript {outputs.text!r}, expected {nemo.text!r}")
    return Row(
        case.name, len(case.audio), features, log_probs, batch, triton, nemo.text, tuple(problems)
    )


def _beyond(what: str, difference: float, tolerance: float) -> list[str]:
    if difference <= tolerance:
        return []
    return [f"{what}: max-abs {difference:.2e}, allowed {tolerance:.0e}"]


def _read_graph(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise RepositoryError(f"{path} cannot be read: {error}; build the model again") from error


def _read_config(repository: Path, model: str) -> ModelConfig:
    path = repository / model / CONFIG_FILE
    try:
        return parse_config(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RepositoryError(f"no model {model!r} in {repository}: build it first") from error
    except text_format.ParseError as error:
        raise RepositoryError(f"{path} is not a model configuration: {error}") from error
