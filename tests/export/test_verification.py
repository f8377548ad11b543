"""The pieces that verification compares with: greedy collapse, differences, and cases."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from client import Clip, load_audio
from client.wire.contract import CONTRACT_VERSION, Contract
from export.errors import ExportError
from export.verification.cases import (
    BATCHED_IN_BUILD_S,
    generated_cases,
    manifest_cases,
    mu_law,
)
from export.verification.outputs import Outputs, greedy_text, max_abs, wrong_tokens
from tests.export.support import noise

VOCABULARY = (" ", "a", "b")
BLANK = len(VOCABULARY)
CONTRACT = Contract(
    version=CONTRACT_VERSION,
    audio_type="INT16",
    sample_rate_hz=16000,
    min_samples=320,
    max_samples=32000,
    feature_stride_s=0.01,
    frame_stride_s=0.02,
    vocabulary=VOCABULARY,
    vocabulary_kind="char",
    blank=BLANK,
    checkpoint="none",
    checkpoint_sha256="0",
    precision="fp32",
    exporter_version="0",
)


def slow_collapse(tokens):
    text, previous = "", None
    for token in tokens:
        if token not in (previous, BLANK):
            text += VOCABULARY[token]
        previous = token
    return text


@given(st.lists(st.integers(0, BLANK)))
def test_collapse_merges_repeats_then_drops_blanks(tokens):
    assert greedy_text(np.array(tokens, np.int32), CONTRACT) == slow_collapse(tokens).lstrip()


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([[1.0, 2.0]], [[1.0, 2.5]], 0.5),
        ([[3.0]], [[1.0]], 2.0),
        (np.empty((0, 2)), np.empty((0, 2)), 0.0),
        ([[1.0, 2.0]], [[1.0], [2.0]], np.inf),
        ([[1.0, 2.0]], [[1.0]], np.inf),
        ([[np.nan]], [[np.nan]], np.inf),
        ([[np.inf]], [[np.inf]], np.inf),
        (None, [[1.0]], np.inf),
    ],
)
def test_a_difference_that_cannot_be_measured_is_infinite(a, b, expected):
    a, b = (None if values is None else np.array(values) for values in (a, b))
    assert max_abs(a, b) == max_abs(b, a) == expected


def outputs(*scores):
    log_probs = np.array(scores, np.float32)
    return Outputs(None, log_probs, log_probs.argmax(axis=1).astype(np.int32), "")


@pytest.mark.parametrize(
    ("expected", "actual", "wrong"),
    [
        (outputs([0, -1], [0, -1]), outputs([0, -1], [0, -1]), 0),
        (outputs([0, -1], [0, -1]), outputs([0, -1], [-1, 0]), 1),
        (outputs([0, -1e-4], [0, -1]), outputs([-1e-4, 0], [0, -1]), 0),
        (outputs([0, -1], [0, -1]), outputs([0, -1]), 2),
    ],
    ids=["equal", "one_differs", "a_tie_within_rounding", "another_length"],
)
def test_wrong_tokens_are_counted_unless_the_best_two_are_tied(expected, actual, wrong):
    assert wrong_tokens(expected, actual, tie=2e-3) == wrong


def test_generated_cases_reach_the_shortest_utterance_and_silence():
    cases = generated_cases(CONTRACT)
    assert min(len(case.audio) for case in cases) == CONTRACT.min_samples
    assert max(len(case.audio) for case in cases) == CONTRACT.max_samples
    assert [case.name for case in cases if not case.audio.any()] == ["digital silence"]
    assert len({case.name for case in cases}) == len(cases)
    assert {case.audio.dtype for case in cases} == {np.dtype(np.int16)}


@pytest.mark.parametrize("max_s", [60, 120])
def test_one_generated_case_is_as_long_as_the_model_takes_and_runs_alone(max_s):
    cases = generated_cases(replace(CONTRACT, max_samples=max_s * 16000))
    (longest,) = (case for case in cases if len(case.audio) > 30 * 16000)
    assert longest.alone
    assert len(longest.audio) == min(max_s, 110) * 16000
    assert not any(case.alone for case in cases if case is not longest)


def test_recordings_longer_than_what_is_batched_run_alone():
    contract = replace(CONTRACT, max_samples=120 * 16000)
    in_verify, in_build = (
        generated_cases(contract, batched_s=seconds) for seconds in (30, BATCHED_IN_BUILD_S)
    )
    assert [case.name for case in in_build] == [case.name for case in in_verify]
    added = {case.name for case in in_build if case.alone} - {
        case.name for case in in_verify if case.alone
    }
    assert added == {"15 s", "30 s", "gated", "mu-law, padded"}
    batched = {case.name for case in in_build if not case.alone}
    assert {"digital silence", "padded", "very quiet", "mu-law", "10 s"} < batched


@pytest.mark.parametrize("max_s", [1, 2.5, 10])
def test_generated_cases_are_no_longer_than_asked(max_s):
    cases = generated_cases(replace(CONTRACT, max_samples=120 * 16000), max_s)
    assert max(len(case.audio) for case in cases) <= max_s * 16000
    assert {"padded", "gated", "very quiet", "mu-law", "mu-law, padded"} < {c.name for c in cases}


def test_mu_law_keeps_what_a_telephone_keeps():
    sent = np.array([0, 3, 4, 11, 12, 131, 132, 1000, -1000, 32767, -32768], np.int16)
    heard = [0, 0, 8, 8, 16, 132, 132, 988, -988, 32124, -32124]  # as G.711's tables have it
    assert mu_law(sent).tolist() == heard


def test_a_manifests_audio_is_read_sample_for_sample_relative_to_it(tmp_path):
    (tmp_path / "audio").mkdir()
    audio = {"a.wav": noise(400), "b.flac": noise(500)}
    for name, samples in audio.items():
        soundfile.write(tmp_path / "audio" / name, samples, 16000)
    lines = [json.dumps({"audio_filepath": f"audio/{name}"}) for name in audio]
    (tmp_path / "manifest.jsonl").write_text("\n\n".join(lines) + "\n")
    cases = manifest_cases(tmp_path / "manifest.jsonl", CONTRACT)
    assert {case.name: case.audio.tolist() for case in cases} == {
        name: samples.tolist() for name, samples in audio.items()
    }


def test_a_manifests_audio_is_taken_as_a_client_sends_it(tmp_path):
    soundfile.write(tmp_path / "telephone.wav", noise(800).reshape(-1, 2), 8000)
    line = {"audio_filename": "telephone.wav", "offset": 0.01, "duration": 0.03, "text": "one"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line))
    (case,) = manifest_cases(tmp_path / "manifest.jsonl", CONTRACT)
    sent = load_audio(Clip(tmp_path / "telephone.wav", 0.01, 0.03), CONTRACT.sample_rate_hz)
    assert case.audio.tolist() == sent.tolist()
    assert len(sent) == 480
    assert case.text == "one"


BAD_LINES = [
    ("{", "line 3: is not JSON"),
    ("[]", "line 3: .*expected an object"),
    ('{"text": "a"}', "line 3: .*audio_filepath"),
    ('{"audio_filepath": 3}', "line 3: .*audio_filepath"),
    ('{"audio_filepath": "good.wav", "offset": NaN}', "line 3: offset is nan"),
    ('{"audio_filepath": "good.wav", "offset": 0, "duration": 1e400}', "line 3: duration is inf"),
    (r'{"audio_filepath": "\ud83d.wav"}', ".wav: cannot be a path"),
    ('{"audio_filepath": "missing.wav"}', "missing.wav: no such file"),
    ('{"audio_filepath": "text.wav"}', "text.wav: "),
    ('{"audio_filepath": "short.wav"}', "short.wav: .*320 to 32000 samples, this has 319"),
    ('{"audio_filepath": "long.wav"}', "long.wav: .*320 to 32000 samples, this has 32001"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_a_bad_manifest_line_is_named_with_the_reason(line, message, tmp_path):
    soundfile.write(tmp_path / "good.wav", noise(400), 16000)
    soundfile.write(tmp_path / "short.wav", noise(319), 16000)
    soundfile.write(tmp_path / "long.wav", noise(32001), 16000)
    (tmp_path / "text.wav").write_text("not audio")
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(f'{{"audio_filepath": "good.wav"}}\n\n{line}\n')
    with pytest.raises(ExportError, match=message):
        manifest_cases(manifest, CONTRACT)


def test_a_manifest_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ExportError, match=r"none\.jsonl"):
        manifest_cases(tmp_path / "none.jsonl", CONTRACT)
