"""Cutting and stitching: whatever the lengths, what comes out is what one window would give."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.audio.voice_activity import VadOptions
from client.errors import AudioError, ContractError, ServerError
from client.segmentation import Plan, SegmentationOptions, cut, plan_segmentation
from client.stitching import Stitcher
from tests.client.support import CONTRACT

BLANK = 7
FRAME = 4  # samples


def windows_of(window, hop, longest, vad=None):
    return Plan(16000, 1, FRAME, window, hop, longest, longest, vad)


@st.composite
def plans(draw):
    window = draw(st.integers(2, 15)) * FRAME + draw(st.integers(0, FRAME - 1))
    hop = draw(st.integers(1, window // FRAME)) * FRAME
    longest = window + draw(st.integers(0, 30))
    return windows_of(window, hop, longest)


def blocks_of(samples, sizes):
    """The samples in blocks of these sizes, again and again."""
    at = 0
    while at < len(samples):
        for size in sizes:
            yield samples[at : at + size]
            at += size


def stitched(parts):
    stitcher = Stitcher()
    final = [stitcher.add(start_frame, outputs) for start_frame, outputs in parts]
    return np.concatenate([*final, stitcher.finish()])


def local_model(samples, context=0):
    """Frames that depend on the samples near them alone, with silence beyond the edges."""
    n_frames = -(-len(samples) // FRAME)
    padded = np.zeros((n_frames + 2 * context) * FRAME, np.int64)
    padded[context * FRAME : context * FRAME + len(samples)] = samples
    return np.array(
        [
            hash(padded[at * FRAME : (at + 2 * context + 1) * FRAME].tobytes()) % (BLANK + 1)
            for at in range(n_frames)
        ],
        np.int32,
    )


speech = st.integers(0, 200).map(
    lambda length: np.random.default_rng(length).integers(-99, 99, length).astype(np.int16)
)


@given(speech, plans(), st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_the_windows_hold_every_sample_in_its_place(samples, plan, sizes):
    windows = list(cut(blocks_of(samples, sizes), plan))
    covered = 0
    for window in windows:
        start = window.start_frame * plan.frame
        assert start <= covered
        np.testing.assert_array_equal(window.samples, samples[start : start + len(window.samples)])
        covered = start + len(window.samples)
    assert covered == len(samples)
    assert [window.last for window in windows] == [False] * (len(windows) - 1) + [True]


@given(speech, plans())
def test_short_recordings_stay_whole_and_others_have_windows_of_one_length(samples, plan):
    windows = list(cut([samples], plan))
    if len(samples) <= plan.longest:
        assert len(windows) == 1
    else:
        lengths = [len(window.samples) for window in windows]
        assert set(lengths[:-1]) == {plan.window}
        assert plan.window - plan.frame < lengths[-1] <= plan.window


@given(speech, plans(), st.booleans())
def test_a_model_that_hears_locally_gives_the_same_in_windows(samples, plan, with_scores):
    def model(samples):
        tokens = local_model(samples)
        return np.eye(BLANK + 1, dtype=np.float32)[tokens] if with_scores else tokens

    parts = [(window.start_frame, model(window.samples)) for window in cut([samples], plan)]
    np.testing.assert_array_equal(stitched(parts), model(samples))


@given(speech, st.integers(4, 15), st.integers(1, 2))
def test_with_context_too_if_half_of_the_overlap_covers_it(samples, overlap, context):
    plan = windows_of(20 * FRAME, (20 - overlap) * FRAME, 20 * FRAME)
    parts = [
        (window.start_frame, local_model(window.samples, context))
        for window in cut([samples], plan)
    ]
    np.testing.assert_array_equal(stitched(parts), local_model(samples, context))


def test_blocks_are_read_when_they_are_needed():
    read = []
    blocks = (read.append(number) or np.full(10, number, np.int16) for number in range(1000))
    windows = cut(blocks, windows_of(window=100, hop=80, longest=100))
    next(windows)
    assert len(read) == 11
    next(windows)
    assert len(read) == 19


def test_the_seam_is_in_the_middle_of_the_overlap():
    whole = stitched([(0, np.full(40, 1)), (20, np.full(40, 2))])
    assert list(whole) == [1] * 30 + [2] * 30


def test_what_is_final_is_given_at_once():
    stitcher = Stitcher()
    assert len(stitcher.add(0, np.full(40, 1))) == 0
    assert len(stitcher.add(20, np.full(40, 2))) == 30
    assert len(stitcher.add(40, np.full(40, 3))) == 20
    assert len(stitcher.finish()) == 30


@pytest.mark.parametrize(
    ("start_frame", "frames"), [(41, np.zeros(40)), (20, np.zeros((40, 3))), (20, np.zeros(19))]
)
def test_windows_that_do_not_fit_together_are_the_servers_fault(start_frame, frames):
    stitcher = Stitcher()
    stitcher.add(0, np.zeros(40))
    with pytest.raises(ServerError, match="does not go on"):
        stitcher.add(start_frame, frames)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_s": 0.5}, r"windows are 0\.5 s long, expected at least 1"),
        ({"window_s": float("nan")}, "windows are nan s long"),
        ({"window_s": float("inf")}, "windows are inf s long"),
        ({"overlap_s": -1.0}, r"windows overlap by -1\.0 s, expected 0 to"),
        ({"method": "silence"}, "is 'silence', expected one of vad, window, none"),
        ({"method": "none", "window_s": 10.0}, "although recordings are not cut"),
        ({"window_s": 10.0, "overlap_s": 5.1}, "expected 0 to 5, half a window"),
    ],
)
def test_windows_that_make_no_sense_are_refused(options, message):
    with pytest.raises(AudioError, match=message):
        SegmentationOptions(**options)


def test_a_window_longer_than_the_model_takes_is_refused():
    with pytest.raises(AudioError, match=r"windows are 3 s long, the model takes at most 2 s"):
        plan_segmentation(CONTRACT, SegmentationOptions("window", 3.0, 1.0))


def test_frames_between_samples_cannot_be_aligned():
    odd = replace(CONTRACT, frame_stride_s=0.02001)
    with pytest.raises(ContractError, match=r"320\.16 samples apart"):
        plan_segmentation(odd, SegmentationOptions())
    assert plan_segmentation(odd, SegmentationOptions("none")).longest > 1 << 40


def test_windows_begin_at_frames_and_fit_the_model():
    chosen = plan_segmentation(CONTRACT, SegmentationOptions("window", 1.5, 0.333))
    assert (chosen.frame, chosen.window, chosen.hop) == (320, 24000, 18560)
    assert chosen.longest == chosen.whole == 24000
    assert chosen.vad is None
    default = plan_segmentation(CONTRACT, SegmentationOptions())  # longer than this model takes
    assert (default.frame, default.window, default.hop) == (320, 32000, 16000)
    assert default.longest == default.whole == 32000
    assert default.vad == VadOptions()
