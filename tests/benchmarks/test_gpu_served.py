"""The load on a real Triton: how much was asked for is what was served."""

import pytest

from benchmarks.errors import ModelError
from benchmarks.gpu.served import Load, serve


def test_a_load_is_served_and_measured(repository):
    loads = [Load(seconds=0.5, in_flight=1, requests=3), Load(0.5, in_flight=4, requests=12)]
    single, several = serve(repository, "one", 16000, loads, gpu=False)
    assert single.encoder_batch == 1
    assert several.encoder_batch >= 1
    for served in (single, several):
        audio_s = served.load.seconds * served.load.requests
        assert served.rtfx == pytest.approx(audio_s / served.wall_s)


def test_a_model_that_cannot_be_served_is_an_error(repository):
    with pytest.raises(ModelError, match="none could not be served"):
        serve(repository, "none", 16000, [], gpu=False)
