"""The WAV files that peers read: the same from each seed, in the bounds, made of what was said."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.errors import SpeechError
from benchmarks.peers.audio import RATE_HZ, ClipOptions, clips, utterances_of

OPTIONS = ClipOptions(count=8, shortest_s=0.5, longest_s=2.0)


@pytest.fixture
def manifest(tmp_path):
    """Three utterances, each of a level of its own, one at another rate."""
    lines = []
    for level, (name, rate_hz) in enumerate((("a", RATE_HZ), ("b", RATE_HZ), ("c", 8000)), 1):
        samples = np.full(rate_hz // 2, level * 0.1, np.float32)
        soundfile.write(tmp_path / f"{name}.flac", samples, rate_hz)
        lines.append(json.dumps({"audio_filepath": f"{name}.flac", "text": f"word {name}"}))
    path = tmp_path / "speech.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_clips_are_of_the_lengths_asked_for_and_in_the_form_that_all_can_read(manifest, tmp_path):
    made = clips(manifest, OPTIONS, tmp_path / "cache")
    assert len(made.files) == OPTIONS.count
    lengths_s = []
    for file in made.files:
        facts = soundfile.info(file)
        assert (facts.samplerate, facts.channels, facts.subtype) == (RATE_HZ, 1, "PCM_16")
        lengths_s.append(facts.duration)
    assert all(0.5 <= length_s <= 2 for length_s in lengths_s)
    assert made.audio_s == pytest.approx(sum(lengths_s))
    assert len(set(lengths_s)) == len(lengths_s)


def test_a_clip_is_utterances_in_a_row(manifest, tmp_path):
    for file in clips(manifest, OPTIONS, tmp_path / "cache").files:
        samples, _ = soundfile.read(file)
        starts = samples[:: RATE_HZ // 2]
        assert {round(float(start), 1) for start in starts} <= {0.1, 0.2, 0.3}


def test_the_same_seed_makes_the_same_clips_and_another_seed_others(manifest, tmp_path):
    contents = [
        [Path(file).read_bytes() for file in clips(manifest, options, tmp_path / cache).files]
        for options, cache in (
            (OPTIONS, "first"),
            (OPTIONS, "second"),
            (ClipOptions(8, 0.5, 2.0, seed=1), "second"),
        )
    ]
    assert contents[0] == contents[1] != contents[2]


def test_clips_are_written_once(manifest, tmp_path):
    first = clips(manifest, OPTIONS, tmp_path / "cache")
    Path(first.files[0]).write_bytes(b"")
    Path(first.files[0]).unlink()
    assert clips(manifest, OPTIONS, tmp_path / "cache").files == first.files[1:]


def test_a_manifest_keeps_its_order_and_what_was_said(manifest, tmp_path):
    test = utterances_of(manifest, tmp_path / "cache")
    assert test.references == ("word a", "word b", "word c")
    assert test.audio_s == pytest.approx(1.5)
    assert [soundfile.info(file).samplerate for file in test.files] == [RATE_HZ] * 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "no utterances"),
        ('{"audio_filepath": "a.flac"}', "lacks text"),
        ("{", "over several lines"),
    ],
)
def test_what_nothing_can_be_made_of_is_an_error(manifest, tmp_path, line, message):
    manifest.write_text(line)
    with pytest.raises(SpeechError, match=message):
        clips(manifest, OPTIONS, tmp_path / "cache")
