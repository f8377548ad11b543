"""The profiles of every family hold the shapes that its graphs really make."""

import pytest

from export.config import MAX_BATCH_SIZE
from export.engine.profiles import profiles
from export.precision.feeds import Graphs, run
from export.repository import graph_path
from export.verification.random_models import SMALL, random_checkpoint
from tests.export.support import NAME, export, noise

# Between the shortest and the longest, around every rounding up of up to 8 feature frames.
FRAMES = (2, 3, 7, 8, 9, 15, 16, 17, 100, 999)


@pytest.fixture(scope="module", params=SMALL)
def exported(request, tmp_path_factory):
    return export(
        random_checkpoint(SMALL[request.param]),
        tmp_path_factory.mktemp(request.param) / "repository",
    )


def test_profiles_hold_the_shortest_and_the_longest_utterance_and_those_between(exported):
    contract, declared = exported.contract, exported.checkpoint.pipeline
    encoder = profiles(declared.encoder, contract, MAX_BATCH_SIZE)
    decoder = profiles(declared.decoder, contract, MAX_BATCH_SIZE)
    roles = ("preprocessor", "encoder", "decoder")
    graphs = Graphs(*(graph_path(exported.repository, f"{NAME}_{role}") for role in roles))
    hop = exported.checkpoint.hop_samples
    lengths = [contract.min_samples, *(frames * hop for frames in FRAMES), contract.max_samples]
    features = list(graphs.features(noise(length) for length in lengths))
    encoded = list(run(graphs.encoder, features))
    for ranges, feeds in ((encoder, features), (decoder, encoded)):
        for feed in feeds:
            assert set(feed) == set(ranges)
            for name, value in feed.items():
                assert ranges[name].holds(value.shape), (name, value.shape, ranges[name])
    # As tight as can be: the ends are reached.
    assert features[0]["features"].shape[2] == encoder["features"].min[2]
    assert features[-1]["features"].shape[2] == encoder["features"].max[2]
    assert encoded[0]["encoded"].shape[2] == decoder["encoded"].min[2]
    assert encoded[-1]["encoded"].shape[2] == decoder["encoded"].max[2]
