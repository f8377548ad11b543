"""Voice activity: the demo's clips with the real network, its rules with coded probabilities."""

import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from client.audio import load_audio
from client.audio.voice_activity import CHUNK_S, SpeechDetector, VadOptions
from client.errors import AudioError

CLIPS = Path(__file__).parents[3] / "demo" / "clips"
RATE_HZ = 16000
CHUNK = 512
CODE = 1000  # a sample of 1000 is the probability 1


@cache
def clip(number):
    return load_audio(CLIPS / f"clip_{number:02}.flac", RATE_HZ)


@cache
def joined_clips():
    """All clips with pauses of a second, and where each lies: ``int16 [n]``, samples."""
    pause = np.zeros(RATE_HZ, np.int16)
    parts, places, at = [pause], [], RATE_HZ
    for number in range(1, 17):
        parts += [clip(number), pause]
        places.append((at, at + len(clip(number))))
        at += len(clip(number)) + RATE_HZ
    return np.concatenate(parts), places


def pieces(samples, sizes):
    """The samples in pieces of these sizes, again and again."""
    at = 0
    for size in cycle(sizes):
        if at >= len(samples):
            return
        yield samples[at : at + size]
        at += size


def told(detector, blocks):
    """The stretches, each checked against ``needed_from`` as it was before and is after."""
    stretches, needed, received = [], 0, 0
    for block in blocks:
        received += len(block)
        new = detector.advance(block)
        assert all(needed <= each.start <= each.end <= received for each in new)
        assert needed <= detector.needed_from
        stretches, needed = stretches + new, detector.needed_from
    new = detector.finish()
    assert all(needed <= each.start <= each.end <= received for each in new)
    return stretches + new


def speech_of(stretches):
    """Start and end of each speech, whose stretches abut."""
    speech, begin, end = [], None, 0
    for stretch in stretches:
        if begin is None:
            begin = stretch.start
            assert begin >= end
        else:
            assert stretch.start == end
        end = stretch.end
        if stretch.last:
            speech.append((begin, end))
            begin = None
    assert begin is None
    return speech


def found(samples, rate_hz=RATE_HZ, sizes=(4000,), **options):
    detector = SpeechDetector(rate_hz, VadOptions(**options))
    return speech_of(told(detector, pieces(samples, sizes)))


class Coded:
    """A network that hears what ``coded`` says, chunk by chunk."""

    def __init__(self):
        self._held = np.zeros(0, np.int16)

    def advance(self, samples):
        """The probabilities of the chunks that are now whole."""
        held = np.append(self._held, samples)
        whole = len(held) // CHUNK * CHUNK
        self._held = held[whole:]
        return (held[:whole:CHUNK] / CODE).astype(np.float32)

    def finish(self):
        """That of the last chunk, which is not whole."""
        return (self._held[:1] / CODE).astype(np.float32)


def coded(probabilities, missing=0):
    """A recording with these probabilities, whose last chunk lacks so many samples."""
    samples = np.repeat(np.round(np.array(probabilities) * CODE), CHUNK).astype(np.int16)
    return samples[: max(0, len(samples) - missing)]


def ruled(samples, sizes=(CHUNK,), **options):
    """What is found in a coded recording."""
    detector = SpeechDetector(RATE_HZ, VadOptions(**options))
    detector._network = Coded()
    return speech_of(told(detector, pieces(samples, sizes)))


def chunks(*speech):
    return [(start * CHUNK, end * CHUNK) for start, end in speech]


BARE = {"padding_s": 0.0, "min_speech_s": 0.0, "min_silence_s": 3 * CHUNK_S}


@pytest.mark.parametrize(
    ("probabilities", "options", "speech"),
    [
        ([], {}, []),
        ([0.4] * 9, {}, []),
        ([0.5] * 9, {}, [(0, 9)]),
        ([0, 0.5, 0.36, 0.36, 0, 0, 0, 0], {}, [(1, 4)]),
        ([0, 0.5, 0.34, 0.34, 0.34, 0.5], {}, [(1, 2), (5, 6)]),
        ([0, 0.5, 0, 0, 0.36, 0, 0, 0.5, 0], {}, [(1, 8)]),
        ([0.21, 0.11, 0.11, 0.09, 0, 0], {"threshold": 0.2}, [(0, 3)]),
        ([0.91, 0.2, 0.8, 0.7, 0.7, 0.7], {"threshold": 0.9}, [(0, 3)]),
        ([0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0], {"min_speech_s": 3 * CHUNK_S}, [(6, 9)]),
        ([0, 1, 0, 1, 0, 0, 0, 0], {"min_speech_s": 3 * CHUNK_S}, [(1, 4)]),
        ([0, 0, 0, 1, 1], {"min_speech_s": 3 * CHUNK_S}, []),
        ([0, 0, 1, 1, 1], {"min_speech_s": 3 * CHUNK_S}, [(2, 5)]),
        ([0, 0, 1, 1, 0], {"min_speech_s": 3 * CHUNK_S}, []),
        ([0, 0, 0, 1, 0, 0, 0, 0], {"padding_s": CHUNK_S}, [(2, 5)]),
        ([1, 0], {"padding_s": CHUNK_S}, [(0, 2)]),
        ([1, 0, 0, 0], {"padding_s": 9.0}, [(0, 2.5)]),
        ([0, 0, 0, 1, 0, 0, 0, 1], {"padding_s": 9.0}, [(1.5, 5.5), (5.5, 8)]),
    ],
)
def test_speech_begins_pauses_and_ends_by_the_rules(probabilities, options, speech):
    for sizes in [(1,), (CHUNK,), (5000,)]:
        assert ruled(coded(probabilities), sizes, **{**BARE, **options}) == chunks(*speech)


def test_speech_that_lasts_to_the_end_ends_there():
    for missing in (1, 100, CHUNK - 1):
        samples = coded([0, 0, 1, 1, 1], missing)
        for padding_s in (0.0, 0.02):
            options = {**BARE, "padding_s": padding_s}
            ((_, end),) = ruled(samples, **options)
            assert end == len(samples)


PROBABILITIES = st.lists(
    st.tuples(st.sampled_from([0, 0.3, 0.4, 0.6, 1]), st.integers(1, 12)), max_size=20
).map(lambda runs: [value for value, length in runs for _ in range(length)])
OPTIONS = st.fixed_dictionaries(
    {
        "threshold": st.sampled_from([0.2, 0.5, 0.9]),
        "min_silence_s": st.sampled_from([2, 3, 5, 10]).map(lambda n: n * CHUNK_S),
        "padding_s": st.sampled_from([0.0, 0.01, 0.04, 0.2]),
        "min_speech_s": st.sampled_from([0.0, 0.1, 0.5]),
        "max_speech_s": st.sampled_from([None, 1.0, 1.5]),
    }
)


@given(
    PROBABILITIES,
    OPTIONS,
    st.integers(0, CHUNK - 1),
    st.lists(st.integers(200, 9000), min_size=1, max_size=4),
)
def test_in_pieces_of_any_size_the_same_speech_is_found(probabilities, options, missing, sizes):
    samples = coded(probabilities, missing)
    assert ruled(samples, sizes, **options) == ruled(samples, (1 << 30,), **options)


@given(PROBABILITIES, OPTIONS)
def test_all_speech_is_in_and_every_long_pause_out(probabilities, options):
    speech = ruled(coded(probabilities), **{**options, "padding_s": 0.0, "min_speech_s": 0.0})
    covered = np.zeros(len(probabilities), bool)
    for start, end in speech:
        assert start < end
        covered[start // CHUNK : end // CHUNK] = True
        if not options["max_speech_s"]:  # else it may be divided within a short pause
            assert probabilities[end // CHUNK - 1] > 0
    surely = np.array(probabilities) >= options["threshold"]
    assert covered[surely].all()
    low = max(options["threshold"] - 0.15, options["threshold"] / 2)
    least = round(options["min_silence_s"] / CHUNK_S)
    for at in range(len(probabilities) - least + 1):
        if all(each < low for each in probabilities[at : at + least]):
            assert not covered[at : at + least].any()


@given(PROBABILITIES, OPTIONS.filter(lambda options: options["max_speech_s"]))
def test_no_speech_is_longer_than_asked_for_but_for_its_padding(probabilities, options):
    for padding_s in (0.0, options["padding_s"]):
        most_s = options["max_speech_s"] + 2 * padding_s
        speech = ruled(coded(probabilities), **{**options, "padding_s": padding_s})
        assert all(end - start <= most_s * RATE_HZ for start, end in speech)


@given(PROBABILITIES, OPTIONS.filter(lambda options: options["max_speech_s"]))
def test_dividing_speech_loses_none_of_it(probabilities, options):
    whole = ruled(coded(probabilities), **{**options, "max_speech_s": None})
    divided = ruled(coded(probabilities), **options)
    places = np.zeros((2, len(probabilities) + 1), bool)
    for row, speech in zip(places, (whole, divided), strict=True):
        for start, end in speech:
            row[-(-start // CHUNK) : end // CHUNK] = True
    voiced = np.append(np.array(probabilities) >= options["threshold"], False)
    assert (places[1] | ~(places[0] & voiced)).all()


def test_speech_is_divided_where_it_is_least_probable_in_its_second_half():
    n_chunks = round(1.0 / CHUNK_S)  # 31
    probabilities = np.full(100, 0.9)
    probabilities[[3, 20, 43, 63]] = 0.4, 0.6, 0.5, 0.7
    speech = ruled(coded(probabilities), max_speech_s=1.0, **BARE)
    assert speech == chunks((0, 20), (20, 43), (43, 63), (63, 78), (78, 100))
    assert all(end - start < n_chunks * CHUNK for start, end in speech)


def test_the_rest_of_divided_speech_is_kept_however_short():
    probabilities = [0.9] * 29 + [0.6, 0.9] + [0.0] * 20  # divided two chunks before the pause
    options = {**BARE, "min_speech_s": 0.1, "max_speech_s": 1.0}
    assert ruled(coded(probabilities), **options) == chunks((0, 29), (29, 31))
    divided_in_a_pause = [0.9] * 29 + [0.0] * 20
    assert ruled(coded(divided_in_a_pause), **options) == chunks((0, 29))


def test_the_speech_of_every_clip_is_found_and_the_pauses_are_not():
    samples, places = joined_clips()
    durations = [
        json.loads(line)["duration"] for line in (CLIPS / "manifest.jsonl").read_text().splitlines()
    ]
    assert [(end - start) / RATE_HZ for start, end in places] == pytest.approx(durations, abs=1e-3)
    speech = found(samples)
    assert len(speech) == len(places)
    energy = samples.astype(float) ** 2
    for (start, end), (first, last) in zip(speech, places, strict=True):
        assert first - 0.25 * RATE_HZ <= start < end <= last + 0.25 * RATE_HZ
        inside = energy[max(start, first) : min(end, last)].sum()
        assert inside > 0.99 * energy[first:last].sum()


@given(st.lists(st.integers(1, 30000), min_size=1, max_size=4).filter(lambda each: sum(each) > 500))
@settings(deadline=None)  # a network runs
def test_the_network_hears_the_same_in_pieces(sizes):
    samples = np.concatenate([clip(3), np.zeros(12000, np.int16), clip(10)])
    assert found(samples, sizes=sizes) == found(samples, sizes=(len(samples),))


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100, 48000])
def test_the_rate_matters_little(rate_hz):
    samples, _ = joined_clips()
    resampled = soxr.resample(samples.astype(np.float32), RATE_HZ, rate_hz)
    resampled = np.clip(np.rint(resampled), -32768, 32767).astype(np.int16)
    there, here = found(resampled, rate_hz), found(samples)
    assert len(there) == len(here)
    off_s = np.abs(np.array(there) / rate_hz - np.array(here) / RATE_HZ)
    assert np.median(off_s) <= CHUNK_S + 1e-3
    assert off_s.max() < 0.35
    assert found(resampled, rate_hz, (777, 5)) == there


def test_pieces_at_other_rates_may_be_short_and_the_end_is_the_recordings():
    loud = np.tile(clip(3)[8000:24000], 2)
    for rate_hz in (8000, 44100):
        samples = soxr.resample(loud.astype(np.float32), RATE_HZ, rate_hz).astype(np.int16)
        for cut_off in (0, 1, 100, 257):
            speech = found(samples[: len(samples) - cut_off], rate_hz, (1000, 1))
            assert speech[-1][1] == len(samples) - cut_off


def noise(level):
    return (np.random.default_rng(1).normal(0, level, 10 * RATE_HZ)).astype(np.int16)


def clicks(length):
    samples = np.zeros(10 * RATE_HZ, np.int16)
    for at in range(0, len(samples) - length, RATE_HZ // 3):
        samples[at : at + length] = 20000
    return samples


HUM = 8000 * np.sin(2 * np.pi * 50 * np.arange(10 * RATE_HZ) / RATE_HZ)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.int16),
        np.zeros(1, np.int16),
        np.zeros(10 * RATE_HZ, np.int16),
        noise(30),
        noise(3000),
        clicks(1),
        clicks(80),
        HUM.astype(np.int16),
    ],
    ids=["nothing", "one sample", "silence", "hiss", "loud hiss", "clicks", "longer clicks", "hum"],
)
def test_what_is_no_speech_is_not_found(samples):
    assert found(samples) == []


NAN = float("nan")
INF = float("inf")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"threshold": each}, "a probability") for each in (0, 1, -1, 1.5, NAN)),
        *(({"min_silence_s": each}, "at least 0.064") for each in (0, 0.063, -1, NAN, INF)),
        *(({"padding_s": each}, "padding_s is") for each in (-0.1, NAN, INF)),
        *(({"min_speech_s": each}, "min_speech_s") for each in (-0.1, NAN, INF)),
        *(({"max_speech_s": each}, "max_speech_s is") for each in (0, 0.9, NAN, INF)),
        ({"max_speech_s": 3.9, "min_speech_s": 2.0}, "twice min_speech_s"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(AudioError, match=message):
        VadOptions(**options)


@pytest.mark.parametrize("options", [{}, {"max_speech_s": 5.0}, {"threshold": 0.01}])
def test_memory_does_not_grow_with_the_recording(options):
    detector = SpeechDetector(RATE_HZ, VadOptions(**options))
    block = np.concatenate([clip(2), clip(3), np.zeros(RATE_HZ, np.int16)])
    detector.advance(block)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(80):  # 10 minutes
            detector.advance(block)
        after, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
    assert most - before < 20 * block.nbytes


def test_detectors_in_several_threads_do_not_disturb_each_other():
    recordings = [joined_clips()[0], clip(1), clip(4), np.tile(clip(6), 3)] * 2
    alone = [found(each) for each in recordings]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(found, recordings)) == alone
