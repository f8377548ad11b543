"""The exported graphs in bare ONNX Runtime do what NeMo does, alone and in any batch."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.config import model_name
from export.repository import graph_path
from export.verification.cases import Case, generated_cases
from export.verification.outputs import max_abs
from export.verification.reference import run_nemo
from export.verification.thresholds import THRESHOLDS
from export.verification.verify import Runs, compare, run_in_batches
from tests.export.support import NAME, noise, problems

HOP = 160
FRAME_BORDERS = [hops * HOP + extra for hops in (2, 3, 4, 5, 8, 16, 17) for extra in (0, 1, 159)]
TOLERANCE = 1e-3
BATCH_TOLERANCE = 1e-4


@pytest.mark.parametrize("n_samples", FRAME_BORDERS)
def test_one_utterance_equals_nemo_around_frame_borders(exported, n_samples):
    audio = noise(n_samples)
    expected = run_nemo(exported.checkpoint, audio)
    (actual,) = exported.graphs.run([audio])
    assert max_abs(actual.features, expected.features) <= TOLERANCE
    assert max_abs(actual.log_probs, expected.log_probs) <= TOLERANCE
    assert actual.tokens.tolist() == expected.tokens.tolist()
    assert actual.text == expected.text


def test_the_models_say_something_or_parity_would_mean_nothing(exported):
    tokens = run_nemo(exported.checkpoint, noise(32000)).tokens
    assert len(set(tokens.tolist())) > 5


# The spread of only two frames, by which NeMo divides, may be less than fp32 tells apart.
@settings(max_examples=25, deadline=None)
@given(n_samples=st.integers(480, 40000), amplitude=st.integers(0, 30000))
def test_verification_finds_nothing_at_any_length_and_level(exported, n_samples, amplitude):
    case = Case("noise", noise(n_samples, amplitude))
    assert problems(exported.checkpoint, exported.graphs, [case]) == []


def test_verification_finds_nothing_in_its_own_short_cases(exported):
    short = [case for case in generated_cases(exported.contract) if len(case.audio) <= 40_000]
    assert problems(exported.checkpoint, exported.graphs, short) == []


@pytest.mark.parametrize("amplitude", [0, 1])
def test_near_silence_equals_nemo_in_float64(exported, amplitude):
    audio = noise(160_000, amplitude)
    expected = run_nemo(exported.checkpoint, audio, torch.float64)
    (actual,) = exported.graphs.run([audio])
    assert max_abs(actual.features, expected.features) <= TOLERANCE
    assert max_abs(actual.log_probs, expected.log_probs) <= TOLERANCE


@pytest.mark.parametrize(("tie", "found"), [(2e-3, True), (np.inf, False)])
def test_a_tied_token_may_change_the_text(tie, found, exported):
    case = Case("noise", noise(16000))
    alone = exported.graphs.run([case.audio])[0]
    swapped = alone.tokens.copy()
    swapped[5] = (swapped[5] + 1) % 5
    runs = Runs(replace(alone, tokens=swapped, text=f"not {alone.text}"), {}, {})
    row = compare(exported.checkpoint, case, runs, replace(THRESHOLDS["fp32"], tie=tie))
    assert bool(row.problems) == found


def test_a_long_recording_is_verified_without_others_that_would_be_padded_to_it(exported):
    lengths = {"short": 8000, "long": 64000, "another": 16000}
    cases = [Case(name, noise(n), alone=name == "long") for name, n in lengths.items()]
    sizes = [list(runs) for runs in run_in_batches(exported.graphs, cases)]
    assert sizes == [[2, 7, 16], [], [2, 7, 16]]
    assert problems(exported.checkpoint, exported.graphs, cases) == []


def test_nemo_is_in_fp32_again_after_it_ran_in_float64(exported):
    audio = noise(16000)
    before = run_nemo(exported.checkpoint, audio)
    exact = run_nemo(exported.checkpoint, audio, torch.float64)
    assert exact.log_probs.dtype == np.float64
    assert 0 < max_abs(exact.log_probs, before.log_probs) <= TOLERANCE
    after = run_nemo(exported.checkpoint, audio)
    np.testing.assert_array_equal(after.log_probs, before.log_probs, strict=True)


@pytest.mark.parametrize(
    "lengths",
    [
        [320, 80000],
        [80000, 320],
        [320, 321, 479, 480, 481, 160000],
        [16000] * 5,
        [40000, 39999, 320, 20000, 641, 640, 639],
    ],
    ids=str,
)
def test_an_utterance_is_the_same_alone_and_in_a_batch(exported, lengths):
    utterances = [noise(n_samples) for n_samples in lengths]
    for audio, in_batch in zip(utterances, exported.graphs.run(utterances), strict=True):
        (alone,) = exported.graphs.run([audio])
        assert max_abs(alone.features, in_batch.features) <= BATCH_TOLERANCE
        assert max_abs(alone.log_probs, in_batch.log_probs) <= BATCH_TOLERANCE
        assert alone.tokens.tolist() == in_batch.tokens.tolist()


@pytest.mark.parametrize("position", range(3))
def test_loud_neighbours_do_not_leak_into_a_quiet_utterance(exported, position):
    quiet = noise(4000, amplitude=20)
    batch = [noise(64000, amplitude=30000)] * 2
    batch.insert(position, quiet)
    (alone,) = exported.graphs.run([quiet])
    in_batch = exported.graphs.run(batch)[position]
    assert max_abs(alone.log_probs, in_batch.log_probs) <= BATCH_TOLERANCE


def test_lengths_equal_nemos_and_tokens_beyond_them_are_blank(exported):
    utterances = [noise(n_samples) for n_samples in (*FRAME_BORDERS, 48000)]
    values = raw_outputs(exported, utterances)
    expected = [run_nemo(exported.checkpoint, audio) for audio in utterances]
    frames = [outputs.features.shape[1] for outputs in expected]
    assert values["features_length"].tolist() == [[count] for count in frames]
    lengths = [len(outputs.tokens) for outputs in expected]
    assert values["log_probs_length"].tolist() == [[length] for length in lengths]
    padding = [row[length:] for row, length in zip(values["tokens"], lengths, strict=True)]
    assert set(np.concatenate(padding)) == {exported.contract.blank}


def raw_outputs(exported, utterances):
    """All tensors of a batch by name, untrimmed."""
    values = {
        "audio_signal": np.concatenate(utterances),
        "audio_signal_length": np.array([[len(audio)] for audio in utterances], np.int32),
    }
    for model in exported.checkpoint.pipeline.models:
        session = onnxruntime.InferenceSession(
            graph_path(exported.repository, model_name(NAME, model))
        )
        names = [tensor.name for tensor in model.outputs]
        feeds = {tensor.name: values[tensor.name] for tensor in model.inputs}
        values |= dict(zip(names, session.run(names, feeds), strict=True))
    return values
