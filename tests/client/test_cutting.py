"""Cutting into segments: at pauses, at given spans, on each channel."""

from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.audio import Span, load_audio
from client.audio.options import as_warning
from client.audio.voice_activity import SpeechDetector, VadOptions
from client.errors import AudioError
from client.segmentation import SegmentationOptions, cut, plan_segmentation
from tests.client.support import CONTRACT

CLIPS = Path(__file__).parents[2] / "demo" / "clips"
RATE_HZ = 16000
FRAME = 320


@cache
def clip(number):
    return load_audio(CLIPS / f"clip_{number:02}.flac", RATE_HZ)


@cache
def conversation(*numbers):
    """Clips with pauses of a second."""
    pause = np.zeros(RATE_HZ, np.int16)
    return np.concatenate([pause, *(part for each in numbers for part in (clip(each), pause))])


def planned(by="vad", longest_s=2.0):
    contract = replace(CONTRACT, max_samples=round(longest_s * RATE_HZ))
    return plan_segmentation(contract, SegmentationOptions(by))


def blocks_of(samples, size):
    return (samples[at : at + size] for at in range(0, len(samples), size))


def segments_of(windows):
    """The windows of each segment, in the order of their ends."""
    found = defaultdict(list)
    ended = []
    for window in windows:
        assert window.label not in ended
        found[window.label].append(window)
        if window.last:
            ended.append(window.label)
    assert len(ended) == len(found)
    return {part: found[part] for part in ended}


def place_of(part, windows, samples):
    """Start and end of a segment, whose windows are checked to hold the samples there."""
    covered = part.start
    for window in windows:
        start = part.start + window.start_frame * FRAME
        assert start <= covered
        covered = start + len(window.samples)
        np.testing.assert_array_equal(window.samples, samples[start:covered])
    return part.start, covered


def places(samples, plan, spans=None, size=5000, warn=as_warning):
    segments = segments_of(cut(blocks_of(samples, size), plan, spans, warn))
    return [place_of(part, windows, samples) for part, windows in segments.items()]


def speech_in(samples, options):
    detector = SpeechDetector(RATE_HZ, options)
    speech, begin = [], None
    for start, end, last in [*detector.advance(samples), *detector.finish()]:
        begin = start if begin is None else begin
        if last:
            speech.append((begin, end))
            begin = None
    return speech


def test_each_speech_between_pauses_is_a_segment():
    samples = conversation(1, 2, 3)
    expected = speech_in(samples, VadOptions())
    assert len(expected) == 3
    assert places(samples, planned(longest_s=30)) == expected


def test_speech_longer_than_the_model_takes_is_cut_into_windows_within_its_segment():
    samples = conversation(4, 1)
    plan = planned()
    segments = segments_of(cut(blocks_of(samples, 4000), plan))
    found = [place_of(part, windows, samples) for part, windows in segments.items()]
    assert found == speech_in(samples, VadOptions())[: len(found)]
    first, second = segments.values()
    assert len(first) > 3
    assert len(second) > 1
    for windows in (first, second):
        assert [window.last for window in windows] == [False] * (len(windows) - 1) + [True]
        assert {len(window.samples) for window in windows[:-1]} == {plan.window}
        assert plan.window - plan.frame < len(windows[-1].samples) <= plan.window


@pytest.mark.parametrize("by", ["vad", "window"])
@given(st.integers(300, 40000))
@settings(max_examples=15, deadline=None)
def test_in_blocks_of_any_size_the_windows_are_the_same(by, size):
    samples = conversation(3, 10)
    spans = [Span(0.5, 4.0), Span(3.0, 3.5), Span(3.0, 9.0)]
    for given_spans in (None, spans):
        found, whole = (
            [
                (window.label and window.label.start, window.start_frame, len(window.samples))
                for window in cut(blocks_of(samples, each), planned(by), given_spans)
            ]
            for each in (size, len(samples))
        )
        assert len(whole) > 1
        assert sorted(found, key=str) == sorted(whole, key=str)


def test_windows_come_before_the_recording_ends():
    samples = conversation(1, 2, 3, 4)
    read = []
    blocks = (read.append(len(block)) or block for block in blocks_of(samples, 4000))
    first = next(cut(blocks, planned(longest_s=30)))
    assert sum(read) < len(clip(1)) + 3 * RATE_HZ
    assert first.last


@pytest.mark.parametrize("by", [None, "vad"])
def test_of_a_silent_recording_nothing_is_sent(by):
    silence = np.zeros(100 * RATE_HZ, np.int16)
    assert list(cut(blocks_of(silence, 60000), planned(by))) == []
    both = np.zeros((100 * RATE_HZ, 2), np.int16)
    assert list(cut(blocks_of(both, 60000), planned(by))) == []


def test_short_recordings_are_cut_at_pauses_only_if_asked():
    samples = np.pad(clip(10)[:24000], (4000, 4000))
    (whole,) = cut([samples], planned(None))
    assert whole.label is None
    np.testing.assert_array_equal(whole.samples, samples)
    (window,) = cut([samples], planned("vad"))
    assert window.label.start > 0


SECOND = RATE_HZ


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 1)], [(0, 1)]),
        ([(0, 1), (1, 2)], [(0, 1), (1, 2)]),
        ([(2, 3), (0, 1)], [(0, 1), (2, 3)]),
        ([(0, 3), (1, 2)], [(1, 2), (0, 3)]),
        ([(1, 4), (1, 4)], [(1, 4), (1, 4)]),
        ([(1, 7), (1, 5)], [(1, 5), (1, 7)]),
        ([(9, 10)], [(9, 10)]),
        ([(9.5, 12)], [(9.5, 10)]),
        ([(0, 100)], [(0, 10)]),
        ([(10, 12), (11, 13)], []),
        ([(1, 1.01)], []),
        ([(9.99, 12)], []),
        ([(1, 1.02)], [(1, 1.02)]),
        ([(1, 1.000001), (2, 3)], [(2, 3)]),
    ],
)
def test_given_spans_are_cut_where_they_lie(spans, expected):
    samples = np.random.default_rng(0).integers(-99, 99, 10 * SECOND).astype(np.int16)
    spans = [Span(start, end) for start, end in spans]
    for by in (None, "vad", "window", "none"):
        for size in (len(samples), 1000, 7777):
            said = []
            found = places(samples, planned(by), spans, size, said.append)
            expected_samples = [(start * SECOND, end * SECOND) for start, end in expected]
            assert sorted(found) == sorted(expected_samples)
            left_out = len(spans) - len(expected)
            told = f"{left_out} of its segments are left out: they begin after its end, at 10.00 s"
            assert [each[: len(told)] for each in said] == ([told] if left_out else [])


def test_spans_tell_whose_speech_it_is_on_which_channel():
    both = np.random.default_rng(0).integers(-99, 99, (5 * SECOND, 2)).astype(np.int16)
    spans = [
        Span(0, 1, 2, "Ann"),
        Span(0, 3, 1, "Bob"),
        Span(0, 3, 1, "Bob"),
        Span(2, 4, speaker="Cy"),
    ]
    segments = segments_of(cut(blocks_of(both, 3000), planned("window"), spans))
    mean = np.rint(both.mean(axis=1)).astype(np.int16)
    found = []
    for part, windows in segments.items():
        heard = mean if part.channel is None else both[:, part.channel - 1]
        found.append((part.speaker, part.channel, *place_of(part, windows, heard)))
    assert sorted(found) == [
        ("Ann", 2, 0, SECOND),
        ("Bob", 1, 0, 3 * SECOND),
        ("Bob", 1, 0, 3 * SECOND),
        ("Cy", None, 2 * SECOND, 4 * SECOND),
    ]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_span_on_a_channel_that_is_absent_is_the_recordings_error(channels):
    samples = np.zeros((SECOND, channels), np.int16)
    with pytest.raises(AudioError, match=f"{channels} channels, a segment is on channel 3"):
        list(cut([samples], planned(), [Span(0, 1, 1), Span(0, 1, 3)]))


@pytest.mark.parametrize(
    "bad",
    [(1, 1), (2, 1), (-1, 1), (0, float("nan")), (0, float("inf")), (0, 1, 0), (0, 1, 9)],
)
def test_spans_that_make_no_sense_are_refused(bad):
    with pytest.raises(AudioError, match=r"expected"):
        Span(*bad)


@pytest.mark.parametrize("by", [None, "vad", "window"])
def test_each_channel_is_cut_as_if_it_were_a_recording_of_its_own(by):
    first, second = conversation(1, 2, 3), conversation(10, 5, 7)
    length = min(len(first), len(second))
    both = np.stack([first[:length], second[:length]], axis=1)
    found = segments_of(cut(blocks_of(both, 6000), planned(by)))
    for channel in (1, 2):
        mono = np.ascontiguousarray(both[:, channel - 1])
        alone = segments_of(cut(blocks_of(mono, 6000), planned(by))).items()
        here = [(part, windows) for part, windows in found.items() if part.channel == channel]
        assert len(here) == len(alone) > 0
        for (part, windows), (mono_part, mono_windows) in zip(here, alone, strict=True):
            assert part.start == (mono_part.start if mono_part else 0)
            for window, mono_window in zip(windows, mono_windows, strict=True):
                assert window.start_frame == mono_window.start_frame
                np.testing.assert_array_equal(window.samples, mono_window.samples)


def test_one_channel_of_two_is_silent():
    both = np.stack([conversation(3), np.zeros(len(conversation(3)), np.int16)], axis=1)
    segments = segments_of(cut(blocks_of(both, 6000), planned()))
    assert {part.channel for part in segments} == {1}
