"""Decoders in threads of their own: the same counts in any number of them, and no hanging."""

import threading
from contextlib import closing

import numpy as np
import pytest

from client.decoding import BeamDecoder, BeamOptions, GreedyOptions
from client.errors import DecoderError
from client.evaluation.metrics import errors_by_utterance
from client.evaluation.tuning.counting import DecodingThreads
from tests.client.evaluation.tuning.support import write_arpa, write_examples
from tests.client.support import CONTRACT

GREEDY = GreedyOptions(confidence=True)
SPOKEN = [
    ("cat", "cot", "cat"),
    ("cot cat", "cot cat", "cat cat"),
    ("dog", "dog"),
    ("cat cat", "cat cot", "cat cat"),
    ("", "cat"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("utterances")


@pytest.fixture(scope="module")
def utterances(folder):
    return write_examples(folder, SPOKEN)


@pytest.fixture(scope="module")
def lm(folder):
    return write_arpa(folder)


@pytest.mark.parametrize("threads", [1, 3])
def test_counts_are_those_of_decoding_here_in_the_order_asked(threads, utterances, lm):
    beams = [BeamOptions(lm, alpha=alpha) for alpha in (0.0, 0.5, 3.0)]
    references = [utterance.reference for utterance in utterances]
    with closing(DecodingThreads(CONTRACT, threads)) as pool:
        greedy, *counted = pool.count([GREEDY, *beams], utterances)
        (one,) = pool.count([GREEDY], utterances)
    assert greedy.by_utterance.tolist() == [[1, 1], [0, 2], [0, 1], [1, 2], [1, 0]]
    assert (greedy.errors, greedy.words, greedy.rate) == (3, 6, 0.5)
    np.testing.assert_array_equal(one.by_utterance, greedy.by_utterance)
    for beam, result in zip(beams, counted, strict=True):
        decoder = BeamDecoder(CONTRACT, beam)
        texts = [decoder.decode(utterance.output.log_probs()).text for utterance in utterances]
        np.testing.assert_array_equal(result.by_utterance, errors_by_utterance(references, texts))
        assert result.decoding_s > 0
    assert len({result.errors for result in counted}) > 1


def test_threads_load_a_language_model_once(utterances, tmp_path):
    lm = write_arpa(tmp_path)
    with closing(DecodingThreads(CONTRACT, 1)) as pool:
        pool.check(BeamOptions(lm))
        lm.unlink()
        (counted,) = pool.count([BeamOptions(lm, alpha=1.0)], utterances)
    assert len(counted.by_utterance) == len(SPOKEN)


def test_a_language_model_that_cannot_be_used_is_the_callers_error(tmp_path):
    with (
        closing(DecodingThreads(CONTRACT, 1)) as pool,
        pytest.raises(DecoderError, match=r"gone\.arpa"),
    ):
        pool.check(BeamOptions(tmp_path / "gone.arpa"))


def test_closing_ends_the_threads_also_in_the_middle(utterances, lm):
    before = threading.active_count()
    pool = DecodingThreads(CONTRACT, 1)
    counts = pool.count([BeamOptions(lm)] * 1000, utterances * 100)
    next(counts)
    pool.close()
    assert threading.active_count() == before
