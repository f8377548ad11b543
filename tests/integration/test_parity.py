"""The demo checkpoint through a real Triton says exactly what NeMo itself says.

Runs in ``.venv-export``; one server is started for all tests, as a subprocess in ``.venv``.
"""

import time

import numpy as np
import pytest

import tests.export  # noqa: F401 - NeMo must be imported first, as its import warns
from demo.paths import DEMO, SPEECH_DATA
from export.assemble import Recipe, assemble
from export.checkpoint import load_checkpoint
from export.repository import read_contract
from export.verification.cases import generated_cases, manifest_cases
from export.verification.outputs import max_abs
from export.verification.reference import run_nemo
from export.verification.thresholds import THRESHOLDS
from export.verification.triton import (
    batch_statistics,
    embedded_server,
    run_triton,
    run_triton_batch,
)
from export.verification.verify import Candidate, verify
from tests.needs import needs_speech

NAME = "demo"
CHECKPOINT = str(DEMO / "demo.nemo")
CLIPS = DEMO / "clips" / "manifest.jsonl"
AN4_TEST = SPEECH_DATA / "an4" / "test_manifest.json"
ATTEMPTS = 20
ALLOWED = THRESHOLDS["fp32"]


@pytest.fixture(scope="module")
def checkpoint():
    return load_checkpoint(CHECKPOINT)


@pytest.fixture(scope="module")
def repository(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parity") / "repository"
    assemble(checkpoint, Recipe(NAME), folder)
    return folder


@pytest.fixture(scope="module")
def contract(repository):
    return read_contract(repository, NAME)


@pytest.fixture(scope="module")
def url(repository):
    with embedded_server(repository, [NAME]) as address:
        yield address


def encoder_statistics(url):
    """What the encoder has run, once that stands still: Triton counts after it has answered."""
    statistics = None
    while [statistics] != (latest := batch_statistics(url, [f"{NAME}_encoder"])):
        (statistics,) = latest
        time.sleep(0.2)
    return statistics


@pytest.mark.filterwarnings("ignore:'pin_memory' argument:UserWarning")
def test_the_reference_is_what_nemos_own_transcribe_gives(checkpoint, contract):
    cases = manifest_cases(CLIPS, contract)[:3]
    paths = [str(CLIPS.parent / case.name) for case in cases]
    own = load_checkpoint(CHECKPOINT).model  # transcribe() leaves its model in training mode
    transcribed = own.transcribe(paths, batch_size=1, verbose=False)
    assert [run_nemo(checkpoint, case.audio).text for case in cases] == [
        hypothesis.text for hypothesis in transcribed
    ]
    assert all(hypothesis.text for hypothesis in transcribed)


def test_verification_passes_on_awkward_lengths_and_on_the_clips(
    checkpoint, contract, repository, url
):
    cases = generated_cases(contract) + manifest_cases(CLIPS, contract)
    steps = []
    verification = verify(checkpoint, Candidate(repository, NAME, url), cases, steps.append)
    assert [row.case for row in verification.rows] == cases
    assert [problem for row in verification.rows for problem in row.problems] == []
    assert steps[-1] == f"verified {len(cases)} of {len(cases)}"
    assert verification.passed


def test_an_utterance_is_the_same_alone_and_batched_with_a_much_longer_one(contract, url):
    by_length = sorted(generated_cases(contract), key=lambda case: len(case.audio))
    clip = manifest_cases(CLIPS, contract)[0].audio
    longer = by_length[-1].audio
    assert len(longer) > 5 * len(clip)
    (alone,) = run_triton(url, NAME, contract, [clip], at_once=1)
    for _ in range(ATTEMPTS):  # two requests in flight usually meet in one batch, not always
        before = encoder_statistics(url)
        in_batch, _ = run_triton(url, NAME, contract, [clip, longer], at_once=2)
        if encoder_statistics(url).since(before).executions == 1:
            break
    else:
        pytest.fail(f"Triton batched no two concurrent requests in {ATTEMPTS} attempts")
    assert max_abs(alone.log_probs, in_batch.log_probs) <= ALLOWED.batch
    assert alone.tokens.tolist() == in_batch.tokens.tolist()


@pytest.mark.parametrize("size", [2, 7, 16])
def test_a_request_of_several_utterances_is_one_batch_and_gives_each_its_own(size, contract, url):
    speech = manifest_cases(CLIPS, contract)[0].audio
    audio = np.stack([np.roll(speech, 997 * row) for row in range(size)])  # [B, N]
    before = encoder_statistics(url)
    together = run_triton_batch(url, NAME, contract, audio)
    assert encoder_statistics(url).since(before).executions_by_size == {size: 1}
    alone = run_triton(url, NAME, contract, list(audio), at_once=1)
    for expected, outputs in zip(alone, together, strict=True):
        assert max_abs(expected.log_probs, outputs.log_probs) <= ALLOWED.batch


@needs_speech(AN4_TEST)
def test_an4_with_16_requests_at_once_has_nemos_text_file_by_file(checkpoint, contract, url):
    cases = manifest_cases(AN4_TEST, contract)
    assert len(cases) == 130
    before = encoder_statistics(url)
    served = list(run_triton(url, NAME, contract, [case.audio for case in cases], at_once=16))
    added = encoder_statistics(url).since(before)
    assert added.utterances == len(cases)
    assert added.executions < len(cases)  # batches were formed
    nemo = [run_nemo(checkpoint, case.audio) for case in cases]
    differing = {
        case.name: (expected.text, actual.text)
        for case, expected, actual in zip(cases, nemo, served, strict=True)
        if expected.text != actual.text
    }
    assert differing == {}
    assert all(
        max_abs(expected.log_probs, actual.log_probs) <= ALLOWED.log_probs
        for expected, actual in zip(nemo, served, strict=True)
    )
