"""Recordings opened and measured, existing manifests compared with them, and what is counted."""

import itertools
import json
import os

import pytest

from client.audio import length_of, load_audio
from client.errors import AudioError
from client.manifests.sources import (
    Fault,
    Measured,
    ModelFit,
    Problem,
    SourceUtterance,
    Summary,
    measured,
    measuring,
    read_existing,
)
from tests.client.audio.recordings import RATE_HZ, record, write
from tests.client.support import CONTRACT


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3", "sph"])
def test_the_length_is_what_reading_gives(kind, tmp_path):
    path = record(tmp_path / f"a.{kind}", 2.345)
    assert length_of(path) == len(load_audio(path, RATE_HZ)) / RATE_HZ


def test_the_length_of_mp3_is_not_guessed(tmp_path):
    """Without its first frame, which counts the others, libsndfile guesses by the bit rate."""
    path = record(tmp_path / "a.mp3", 3.0, bitrate_mode="VARIABLE")
    whole = path.read_bytes()
    path.write_bytes(whole[whole.index(b"\xff", 4) :])
    assert length_of(path) == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "sph"])
def test_a_copy_that_broke_off_is_noticed(kind, tmp_path):
    path = record(tmp_path / f"a.{kind}", 20.0)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(AudioError, match="truncated"):
        length_of(path)


def test_a_pipe_and_a_folder_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    for path in (tmp_path, tmp_path / "a.wav"):
        with pytest.raises(AudioError, match="expected an audio file"):
            length_of(path)


def test_pieces_that_begin_together_are_two_and_the_same_piece_is_one(tmp_path):
    path = record(tmp_path / "a.wav", 2.0)
    pieces = [(None, None), (0.0, 1.5), (0.5, 1.0), (0.5, 0.5), (0.5, None), (0.5, 1.5), (0.0, 2.0)]
    found = list(measured(SourceUtterance(str(piece), path, "x", *piece) for piece in pieces))
    assert [isinstance(each, Measured) for each in found] == [True] * 5 + [False] * 2
    assert [each.reason.partition(": ")[0] for each in found[5:]] == [
        "is the same audio as (0.5, None)",
        "is the same audio as (None, None)",
    ]


def test_order_is_kept_and_no_more_is_read_than_is_under_way(tmp_path):
    long, short = record(tmp_path / "long.flac", 60.0), record(tmp_path / "short.wav")
    numbers = itertools.count()
    endless = (
        SourceUtterance(f"line {number}", (long, short)[number % 2], "x", offset_s=number / 1e6)
        for number in numbers
    )
    found = measured(endless)
    first = list(itertools.islice(found, 600))
    assert [each.utterance.where for each in first] == [f"line {n}" for n in range(600)]
    assert [round(each.duration_s) for each in first[:4]] == [60, 1, 60, 1]
    found.close()
    assert next(numbers) < 1000


def test_a_recordings_pieces_in_a_row_open_it_once(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(measuring, "length_of", lambda path: opened.append(path) or length_of(path))
    paths = [record(tmp_path / f"{name}.wav", 10.0) for name in "ab"]
    pieces = [
        SourceUtterance(f"line {at}{path.stem}", path, "x", float(at), 1.0)
        for path in paths
        for at in range(10)
    ]
    assert all(isinstance(each, Measured) for each in measured(pieces))
    assert sorted(opened) == paths


GOOD = {"audio_filepath": "a.wav", "duration": 1.0, "text": "hello"}


@pytest.fixture
def check(tmp_path):
    record(tmp_path / "a.wav", 1.0)
    record(tmp_path / "b.wav", 5.0)

    def read_lines(*entries):
        lines = [each if isinstance(each, str) else json.dumps(each) for each in entries]
        manifest = write(tmp_path / "m.jsonl", *lines)
        return list(measured(read_existing(manifest)))

    return read_lines


def test_existing_what_holds_is_counted(check):
    piece = {"audio_filepath": "b.wav", "offset": 1.0, "duration": 2.0, "text": "x"}
    again = {**piece, "offset": 3.0}
    textless = {"audio_filepath": "b.wav", "duration": 5.09}
    found = check(GOOD, piece, again, textless)
    assert [each.duration_s for each in found] == [1.0, 2.0, 2.0, 5.0]
    assert found[-1].utterance.text is None


@pytest.mark.parametrize(
    ("entry", "fault", "says"),
    [
        ("{", Fault.MALFORMED, "is not JSON"),
        ({"audio_filepath": "b.wav", "text": "x"}, Fault.MALFORMED, "duration is None"),
        ({**GOOD, "duration": "1"}, Fault.MALFORMED, "duration is '1'"),
        ({**GOOD, "duration": float("nan")}, Fault.MALFORMED, "duration is nan"),
        ({**GOOD, "duration": 0}, Fault.MALFORMED, "duration is 0"),
        ({**GOOD, "audio_filepath": "x.wav"}, Fault.NO_AUDIO, "x.wav: no such file"),
        ({**GOOD, "audio_filepath": "m.jsonl"}, Fault.UNREADABLE, "m.jsonl"),
        ({**GOOD, "audio_filepath": "b.wav"}, Fault.DURATION, "b.wav is 5.000 s long"),
        (
            {**GOOD, "audio_filepath": "b.wav", "duration": 5.2},
            Fault.DURATION,
            "duration is 5.2",
        ),
        (
            {**GOOD, "audio_filepath": "b.wav", "offset": 4.5},
            Fault.DURATION,
            "the piece goes from 4.5 to 5.5 s",
        ),
        (
            {**GOOD, "audio_filepath": "b.wav", "offset": 5.0, "duration": 0.05},
            Fault.DURATION,
            "the piece goes from 5 to 5.05 s",
        ),
        ({**GOOD, "audio_filepath": "b.wav", "duration": 5, "text": " "}, Fault.EMPTY, "empty"),
        (GOOD, Fault.DUPLICATE, "m.jsonl line 1"),
        ({**GOOD, "offset": 0.0}, Fault.DUPLICATE, "m.jsonl line 1"),
    ],
    ids=str,
)
def test_existing_what_does_not_hold_is_named_by_its_line(entry, fault, says, check, tmp_path):
    last = {**GOOD, "audio_filepath": "b.wav", "offset": 2}
    good, bad, other = check(GOOD, entry, last)
    assert isinstance(good, Measured)
    assert isinstance(other, Measured)
    assert bad.where == f"{tmp_path / 'm.jsonl'} line 2"
    assert bad.fault is fault
    assert says in bad.reason
    assert "m.jsonl line 2" not in bad.reason


def test_a_summary_counts(tmp_path):
    summary = Summary()
    for duration_s, text in ((3.0, "aab"), (1.0, "b "), (2.0, None)):
        summary.add(Measured(SourceUtterance("here", tmp_path, text), duration_s))
    summary.add(Problem("there", "because", Fault.EMPTY))
    assert (summary.audio_s, summary.median_s, summary.without_text) == (6.0, 2.0, 1)
    assert summary.characters == {"a": 2, "b": 2, " ": 1}
    assert summary.left_out == {Fault.EMPTY: 1}


def test_a_model_refuses_by_its_contract(tmp_path):
    """320 to 32000 samples at 16 kHz, in small letters and an apostrophe."""
    fit = ModelFit(CONTRACT)
    cases = {2.0: "it's", 2.001: "Oh, Oh", 0.02: "oh", 0.019: ""}
    refused = [
        fit.add(Measured(SourceUtterance("here", tmp_path, text), duration_s))
        for duration_s, text in cases.items()
    ]
    assert [bool(each) for each in refused] == [False, True, False, True]
    assert (fit.too_long, fit.too_short, fit.unwritable_texts) == (1, 1, 1)
    assert fit.unwritable_characters == {"O": 2, ",": 1}
