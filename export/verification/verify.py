"""Verification in stages: declared tensors, then values alone, in batches, and through Triton.

Every stage runs to its end and every difference is reported; only then is anything raised.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jiwer
import numpy as np
import torch

from client.wire.contract import Contract
from export.checkpoint import Checkpoint
from export.config import model_name
from export.errors import ExportError, ParityError
from export.process import Progress, silent
from export.verification.cases import Case
from export.verification.declarations import check_declarations, verifiable_contract
from export.verification.layers import wrong_layer
from export.verification.onnx_pipeline import OnnxPipeline
from export.verification.outputs import Outputs, max_abs, wrong_tokens, wrong_top
from export.verification.reference import run_nemo
from export.verification.thresholds import THRESHOLDS, Thresholds
from export.verification.triton import (
    BatchStatistics,
    batch_statistics,
    run_triton,
    run_triton_batch,
)

BATCH_SIZES: Final = (2, 7, 16)
REQUESTS_AT_ONCE: Final = (1, *BATCH_SIZES)
"""Through Triton, which batches them as they arrive."""
CASES_AT_ONCE: Final = 64
"""Bounds the memory of their outputs, several times ``log_probs``, for any manifest."""


@dataclass(frozen=True)
class Row:
    """One utterance's differences as max-abs, and its transcripts.

    ``features``, ``log_probs`` and ``triton`` are against NeMo; ``batch`` is between the utterance
    alone and in any batch, in ONNX Runtime or through Triton, whichever is larger. Of ``frames``
    greedy tokens ``wrong_tokens`` are not NeMo's. ``triton`` is None without a server.
    ``nemo_rounding`` is None where NeMo's fp32 was near enough. Elsewhere the reference is NeMo in
    float64, and this is the distance of NeMo's own fp32 ``log_probs`` from it.
    """

    case: Case
    features: float
    log_probs: float
    batch: float
    triton: float | None
    frames: int
    wrong_tokens: int
    text: str
    nemo_text: str
    nemo_rounding: float | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class WordErrors:
    """Word errors against the manifest's texts: NeMo's and the exported model's."""

    words: int
    nemo: int
    exported: int


@dataclass(frozen=True)
class Verification:
    """All rows, the judgement over all of them, and how Triton batched the requests.

    ``problems`` are those of the whole; ``layer`` is the part of the model in which the worst row
    with a problem deviates.
    """

    precision: str
    rows: tuple[Row, ...]
    word_errors: WordErrors | None
    batches: tuple[BatchStatistics, ...]
    problems: tuple[str, ...]
    layer: str | None

    @property
    def passed(self) -> bool:
        """Whether no problem was found, in a row or in the whole."""
        return not self.problems and not any(row.problems for row in self.rows)

    @property
    def token_agreement(self) -> float:
        """The share of frames with NeMo's token: on recorded speech where there is any."""
        return _token_agreement(self.rows)


@dataclass(frozen=True)
class Candidate:
    """An exported model that is to be verified.

    ``url`` is the gRPC address of a Triton that serves ``repository``; without one, the graphs run
    in bare ONNX Runtime alone.
    """

    repository: Path
    name: str
    url: str | None = None


def verify(
    checkpoint: Checkpoint,
    candidate: Candidate,
    cases: Sequence[Case],
    progress: Progress = silent,
) -> Verification:
    """Compare ``candidate`` with ``checkpoint`` on all ``cases``.

    Raises ``ParityError`` with every wrong declaration, since such graphs cannot be compared,
    and ``ExportError`` when something cannot be run at all.
    """
    repository, name, url = candidate.repository, candidate.name, candidate.url
    contract = verifiable_contract(repository, name)
    allowed = THRESHOLDS[contract.precision]
    if allowed.needs_speech and not any(case.recorded for case in cases):
        raise ExportError(
            f"{name} is in {contract.precision}, which is judged on recorded speech, and there is"
            " none among the cases: add those of a manifest",
            options=("manifest",),
        )
    pipeline = checkpoint.pipeline_with(contract.top_k)
    if problems := list(check_declarations(checkpoint, repository, name)):
        raise ParityError("; ".join(problems) + ": build the model again", problems=problems)
    exported = OnnxPipeline(repository, name, pipeline, contract)
    models = [model_name(name, model) for model in pipeline.models]
    before = batch_statistics(url, models) if url else []
    rows: list[Row] = []
    progress("verifying in batches")
    for start in range(0, len(cases), CASES_AT_ONCE):
        some = cases[start : start + CASES_AT_ONCE]
        batched = run_in_batches(exported, some)
        served = run_served(url, name, contract, some) if url else [{} for _ in some]
        for case, in_batches, through_triton in zip(some, batched, served, strict=True):
            runs = Runs(exported.run([case.audio])[0], in_batches, through_triton)
            rows.append(compare(checkpoint, case, runs, allowed))
            progress(f"verified {len(rows)} of {len(cases)}")
    problems = list(_batch_problems(url, name, contract, cases)) if url else []
    after = batch_statistics(url, models) if url else []
    statistics = tuple(map(BatchStatistics.since, after, before))
    return conclude(checkpoint, exported, tuple(rows), statistics, problems)


@dataclass(frozen=True)
class Runs:
    """One utterance's outputs by the bare graphs and through Triton.

    ``batched`` is by the size of the batch, ``served`` by the number of requests at once.
    """

    alone: Outputs
    batched: Mapping[int, Outputs]
    served: Mapping[int, Outputs]


def run_in_batches(exported: OnnxPipeline, cases: Sequence[Case]) -> list[dict[int, Outputs]]:
    """For each of ``cases`` its outputs in batches of mixed lengths, by the batch's size."""
    outputs: list[dict[int, Outputs]] = [{} for _ in cases]
    for size in BATCH_SIZES:
        order = [index for index in _shuffled(len(cases), size) if not cases[index].alone]
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            results = exported.run([cases[index].audio for index in batch])
            for index, result in zip(batch, results, strict=True):
                outputs[index][size] = result
    return outputs


def run_served(
    url: str, name: str, contract: Contract, cases: Sequence[Case]
) -> list[dict[int, Outputs]]:
    """For each of ``cases`` its outputs through Triton, by the number of requests at once."""
    outputs: list[dict[int, Outputs]] = [{} for _ in cases]
    for at_once in REQUESTS_AT_ONCE:
        order = [
            index
            for index in _shuffled(len(cases), at_once)
            if at_once == 1 or not cases[index].alone
        ]
        utterances = [cases[index].audio for index in order]
        results = run_triton(url, name, contract, utterances, at_once)
        for index, result in zip(order, results, strict=True):
            outputs[index][at_once] = result
    return outputs


def _batch_problems(
    url: str, name: str, contract: Contract, cases: Sequence[Case]
) -> Iterator[str]:
    """Problems of requests of several utterances, which Triton runs as one batch.

    Single requests sent at once may form batches of other sizes.
    """
    audio = sorted((case.audio for case in cases), key=len)[len(cases) // 2]
    allowed = THRESHOLDS[contract.precision].batch
    for size in BATCH_SIZES:
        batch = np.stack([np.roll(audio, row * len(audio) // size) for row in range(size)])
        together = run_triton_batch(url, name, contract, batch)
        alone = run_triton(url, name, contract, list(batch), at_once=1)
        apart = max(
            max_abs(expected.log_probs, outputs.log_probs)
            for expected, outputs in zip(alone, together, strict=True)
        )
        if apart > allowed:
            yield (
                f"Triton: log_probs in a batch of {size} differ by {apart:.2e} from those alone,"
                f" allowed {allowed:.0e}"
            )


def _shuffled(count: int, seed: int) -> list[int]:
    """A fixed random order, which puts short utterances beside long ones."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


def compare(checkpoint: Checkpoint, case: Case, runs: Runs, allowed: Thresholds) -> Row:
    """Compare the runs of one utterance with NeMo's, and those in a batch with those alone."""
    ways = {
        "alone": runs.alone,
        **{f"batch of {size}": outputs for size, outputs in runs.batched.items()},
        **{f"Triton, {count} at once": outputs for count, outputs in runs.served.items()},
    }
    nemo, rounding = run_nemo(checkpoint, case.audio), None
    if not _near(nemo, runs, allowed):
        rounded, nemo = nemo, run_nemo(checkpoint, case.audio, torch.float64)
        rounding = max_abs(rounded.log_probs, nemo.log_probs)
        allowed = allowed.at_least(max_abs(rounded.features, nemo.features), rounding)
    features = max_abs(nemo.features, runs.alone.features)
    log_probs = max_abs(nemo.log_probs, runs.alone.log_probs)
    batch = _spread(runs.alone, runs.batched)
    triton = None
    if runs.served:
        first, *_ = runs.served.values()
        batch = max(batch, _spread(first, runs.served))
        triton = _spread(nemo, runs.served)
    problems = _wrong_lengths(nemo, ways)
    problems += _wrong_best(ways)
    problems += _beyond("features", features, allowed.features)
    problems += _beyond("log_probs", log_probs, allowed.log_probs)
    problems += _beyond("batch", batch, allowed.batch)
    problems += _beyond("Triton", triton or 0.0, allowed.log_probs)
    tie = allowed.tie_on(recorded=case.recorded)
    wrong = {way: wrong_tokens(nemo, outputs, tie) for way, outputs in ways.items()}
    if allowed.token_agreement == 1.0:
        problems += _wrong_transcripts(nemo, ways, wrong)
    return Row(
        case,
        features,
        log_probs,
        batch,
        triton,
        len(nemo.tokens),
        max(wrong.values()),
        runs.alone.text,
        nemo.text,
        rounding,
        tuple(problems),
    )


def _near(nemo: Outputs, runs: Runs, allowed: Thresholds) -> bool:
    """Whether no run is further from ``nemo`` than allowed."""
    return max_abs(nemo.features, runs.alone.features) <= allowed.features and all(
        max_abs(nemo.log_probs, outputs.log_probs) <= allowed.log_probs
        for outputs in (runs.alone, *runs.batched.values(), *runs.served.values())
    )


def _wrong_transcripts(
    nemo: Outputs, ways: Mapping[str, Outputs], wrong: Mapping[str, int]
) -> Iterator[str]:
    """Tokens that differ, and texts that differ without a tie."""
    for way, count in wrong.items():
        if count:
            yield f"{way}: {count} of {len(nemo.tokens)} tokens differ"
    for way, outputs in ways.items():
        tied = not wrong[way] and not np.array_equal(nemo.tokens, outputs.tokens)
        if outputs.text != nemo.text and not tied:
            yield f"{way}: transcript {outputs.text!r}, expected {nemo.text!r}"


def conclude(
    checkpoint: Checkpoint,
    exported: OnnxPipeline,
    rows: tuple[Row, ...],
    batches: tuple[BatchStatistics, ...] = (),
    problems: Sequence[str] = (),
) -> Verification:
    """Judge all utterances together: token agreement, word errors, and the batches formed.

    ``problems`` are those found before.
    """
    precision = exported.contract.precision
    allowed = THRESHOLDS[precision]
    word_errors = _word_errors(rows)
    agreement = _token_agreement(rows)
    problems = list(problems)
    if agreement < allowed.token_agreement:
        problems.append(
            f"tokens: {agreement:.2%} of frames have NeMo's,"
            f" allowed are {allowed.token_agreement:.1%}"
        )
    if word_errors is not None:
        extra = word_errors.exported - word_errors.nemo
        if extra > allowed.allowed_word_errors(word_errors.words):
            problems.append(
                f"WER: {word_errors.exported} word errors where NeMo makes {word_errors.nemo},"
                f" allowed are {allowed.allowed_word_errors(word_errors.words)} more"
            )
    if batches and len(rows) > 1 and not any(b.executions < b.utterances for b in batches):
        problems.append("Triton: no two requests were batched, so nothing is known about batches")
    suspects = [row for row in rows if row.problems] or ([*rows] if problems else [])
    layer = _wrong_part(checkpoint, exported, suspects, rows) if suspects else None
    return Verification(precision, rows, word_errors, batches, tuple(problems), layer)


def _token_agreement(rows: Sequence[Row]) -> float:
    judged = [row for row in rows if row.case.recorded] or rows
    return 1.0 - sum(row.wrong_tokens for row in judged) / sum(row.frames for row in judged)


def _wrong_part(
    checkpoint: Checkpoint, exported: OnnxPipeline, suspects: Sequence[Row], rows: Sequence[Row]
) -> str:
    """The part of the model that the worst of ``suspects`` points to."""
    worst = max(suspects, key=lambda row: (row.features, row.log_probs, row.batch))
    if worst.features > THRESHOLDS[exported.contract.precision].features:
        return "preprocessor"
    longest = max((row.case.audio for row in rows if not row.case.alone), key=len)
    layer = wrong_layer(checkpoint, exported, worst.case.audio, longest)
    return f"encoder, {layer}" if layer else "decoder"


def _word_errors(rows: Sequence[Row]) -> WordErrors | None:
    spoken = [(row.case.text, row) for row in rows if row.case.text]
    if not spoken:
        return None
    references = [text for text, _ in spoken]
    nemo = jiwer.process_words(references, [row.nemo_text for _, row in spoken])
    exported = jiwer.process_words(references, [row.text for _, row in spoken])
    return WordErrors(
        nemo.hits + nemo.substitutions + nemo.deletions, _errors(nemo), _errors(exported)
    )


def _errors(output: jiwer.WordOutput) -> int:
    return int(output.substitutions + output.deletions + output.insertions)


def _wrong_lengths(nemo: Outputs, ways: Mapping[str, Outputs]) -> list[str]:
    return [
        f"{way}: log_probs of shape {outputs.log_probs.shape}, expected {nemo.log_probs.shape}"
        for way, outputs in ways.items()
        if outputs.log_probs.shape != nemo.log_probs.shape
    ]


def _wrong_best(ways: Mapping[str, Outputs]) -> list[str]:
    counts = {way: wrong_top(outputs) for way, outputs in ways.items()}
    return [
        f"{way}: top_tokens of {count} frames are not the best of log_probs"
        for way, count in counts.items()
        if count
    ]


def _spread(expected: Outputs, ways: Mapping[int, Outputs]) -> float:
    return max(
        (max_abs(expected.log_probs, outputs.log_probs) for outputs in ways.values()), default=0.0
    )


def _beyond(what: str, difference: float, tolerance: float) -> list[str]:
    if difference <= tolerance and math.isfinite(difference):
        return []
    return [f"{what}: max-abs {difference:.2e}, allowed {tolerance:.0e}"]
