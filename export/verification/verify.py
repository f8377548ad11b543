"""Verification in stages: declared tensors, then values alone, in batches, and through Triton.

Every stage runs to its end and every difference is reported; only then is anything raised.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

    ``features``, ``log_probs`` and ``triton`` are against NeMo, ``batch`` against the same
    graphs with the utterance alone.
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
    """All rows, and Triton's batch counts."""

    rows: tuple[Row, ...]
    batches: tuple[BatchStatistics, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing at all was found."""
        return not any(row.problems for row in self.rows)


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
    if contract != contract_of(checkpoint, contract.precision):
        yield f"the contract of {name} is not that of checkpoint {checkpoint.name}"
    for model in pipeline.models:
        graph = _read_graph(graph_path(repository, model_name(name, model)))
        try:
            check_graph(graph, model)
        except GraphError as error:
            yield str(error)
    expected = [
        *(model_config(name, model) for model in pipeline.models),
        ensemble_config(name, pipeline, contract),
    ]
    for config in expected:
        actual = _read_config(repository, config.name)
        if (list(actual.input), list(actual.output)) != (list(config.input), list(config.output)):
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
    served = run_triton(url, name, contract, [case.audio for case in cases])
    rows = []
    for case, in_batch, through_triton in zip(cases, batched, served, strict=True):
        alone = exported.run([case.audio])[0]
        row = compare(checkpoint, case, alone, in_batch, through_triton)
        rows.append(row)
        yield row
    names = [model_name(name, model) for model in pipeline.models]
    yield Verification(tuple(rows), tuple(batch_statistics(url, names)))


def run_in_batches(exported: OnnxPipeline, cases: Sequence[Case]) -> list[Outputs]:
    """Outputs in the order of ``cases``, run in batches of mixed lengths."""
    order = list(range(len(cases)))
    random.Random(SHUFFLE_SEED).shuffle(order)
    outputs: dict[int, Outputs] = {}
    for start in range(0, len(order), BATCH_SIZE):
        batch = order[start : start + BATCH_SIZE]
        outputs |= zip(batch, exported.run([cases[i].audio for i in batch]), strict=True)
    return [outputs[index] for index in range(len(cases))]


def compare(
    checkpoint: Checkpoint, case: Case, alone: Outputs, in_batch: Outputs, through_triton: Outputs
) -> Row:
    """Compare the runs of one utterance with NeMo's, and the run in a batch with that alone."""
    nemo = run_nemo(checkpoint, case.audio)
    batch = max_abs(alone.log_probs, in_batch.log_probs)
    problems = [*_beyond("batch", batch, BATCH_TOLERANCE)]
    if alone.log_probs.shape != nemo.log_probs.shape:
        problems.append(
            f"alone: log_probs of shape {alone.log_probs.shape}, expected {nemo.log_probs.shape}"
        )
    if case.digital_silence:
        features = log_mel_difference(checkpoint, case.audio)
        nemo = alone  # normalised rounding noise: only our own runs are comparable
    else:
        features = max_abs(nemo.features, alone.features)
    log_probs = max_abs(nemo.log_probs, alone.log_probs)
    triton = max_abs(nemo.log_probs, through_triton.log_probs)
    problems += _beyond("features", features, FEATURES_TOLERANCE)
    problems += _beyond("log_probs", log_probs, LOG_PROBS_TOLERANCE)
    problems += _beyond("triton", triton, LOG_PROBS_TOLERANCE)
    for way, outputs in (("alone", alone), ("batch", in_batch), ("triton", through_triton)):
        wrong = wrong_tokens(nemo, outputs, LOG_PROBS_TOLERANCE)
        if wrong:
            problems.append(f"{way}: {wrong} of {len(nemo.tokens)} tokens differ")
        if outputs.text != nemo.text:
            problems.append(f"{way}: transcript {outputs.text!r}, expected {nemo.text!r}")
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
