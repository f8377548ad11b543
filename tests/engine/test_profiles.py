"""Profile arithmetic: from contract and declared axes to the shapes of an engine."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.wire.contract import Contract
from export.engine.profiles import Profile, profiles
from export.tensors import pipeline

CONTRACT = Contract(
    version=1,
    audio_type="INT16",
    sample_rate_hz=16000,
    min_samples=320,
    max_samples=120 * 16000,
    feature_stride_s=0.01,
    frame_stride_s=0.02,
    vocabulary=("a",),
    vocabulary_kind="char",
    blank=1,
    checkpoint="small",
    checkpoint_sha256="0" * 64,
    precision="fp16",
    exporter_version="0",
)
PIPELINE = pipeline(features=80, channels=160, vocabulary_size=29)


def test_the_encoder_takes_two_to_all_frames_and_is_best_at_ten_seconds():
    assert profiles(PIPELINE.encoder, CONTRACT, 16) == {
        "features": Profile((1, 80, 2), (8, 80, 1000), (16, 80, 12000)),
        "features_length": Profile((1, 1), (8, 1), (16, 1)),
    }


def test_the_decoder_takes_what_is_left_of_them():
    assert profiles(PIPELINE.decoder, CONTRACT, 16) == {
        "encoded": Profile((1, 160, 1), (8, 160, 500), (16, 160, 6000)),
        "encoded_length": Profile((1, 1), (8, 1), (16, 1)),
    }


def test_flat_audio_holds_the_whole_batch():
    assert profiles(PIPELINE.preprocessor, CONTRACT, 16)["audio_signal"] == Profile(
        (320,), (8 * 160000,), (16 * 1920000,)
    )


def test_the_best_shape_stays_within_short_limits():
    short = dataclasses.replace(CONTRACT, max_samples=16000)
    assert profiles(PIPELINE.encoder, short, 4)["features"] == Profile(
        (1, 80, 2), (4, 80, 100), (4, 80, 100)
    )


@given(
    rate=st.sampled_from([8000, 16000, 22050, 44100]),
    hop=st.integers(80, 441),
    subsampling=st.sampled_from([1, 2, 4, 8]),
    max_batch=st.integers(1, 64),
    data=st.data(),
)
def test_every_batch_of_allowed_utterances_lies_in_the_profile(
    rate, hop, subsampling, max_batch, data
):
    most = data.draw(st.integers(2 * hop, 200 * rate))
    contract = dataclasses.replace(
        CONTRACT,
        sample_rate_hz=rate,
        min_samples=2 * hop,
        max_samples=most,
        feature_stride_s=hop / rate,
        frame_stride_s=subsampling * hop / rate,
    )
    samples = data.draw(st.lists(st.integers(2 * hop, most), min_size=1, max_size=max_batch))
    frames = max(samples) // hop
    steps = frames
    for _ in range(round(math.log2(subsampling))):
        steps = math.ceil(steps / 2)
    encoder = profiles(PIPELINE.encoder, contract, max_batch)
    decoder = profiles(PIPELINE.decoder, contract, max_batch)
    assert encoder["features"].holds((len(samples), 80, frames))
    assert encoder["features_length"].holds((len(samples), 1))
    assert decoder["encoded"].holds((len(samples), 160, steps))


@pytest.mark.parametrize(
    "shapes",
    [
        ((1, 80, 2), (8, 80), (16, 80, 9)),
        ((1, 80, 9), (8, 80, 2), (16, 80, 9)),
        ((0, 80, 2), (8, 80, 2), (16, 80, 9)),
        ((1, 80, 2), (8, 80, 20), (16, 80, 9)),
    ],
    ids=["rank", "opt below min", "empty", "opt above max"],
)
def test_shapes_that_no_engine_can_be_built_for_are_refused(shapes):
    with pytest.raises(ValueError, match="min <= opt <= max"):
        Profile(*shapes)


def test_a_profile_holds_only_shapes_within_it():
    profile = Profile((1, 80, 2), (8, 80, 1000), (16, 80, 12000))
    inside = [(1, 80, 2), (16, 80, 12000), (3, 80, 77)]
    outside = [(0, 80, 2), (17, 80, 2), (1, 64, 2), (1, 80, 1), (1, 80, 12001), (1, 80), ()]
    assert all(map(profile.holds, inside))
    assert not any(map(profile.holds, outside))


def test_profiles_pass_through_json():
    profile = Profile((1, 80, 2), (8, 80, 1000), (16, 80, 12000))
    assert profile.to_json() == {"min": [1, 80, 2], "opt": [8, 80, 1000], "max": [16, 80, 12000]}
    assert Profile.from_json(profile.to_json()) == profile
