"""Forced alignment finds the best of all paths, and says when there is none."""

from itertools import groupby, pairwise, product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from client.decoding.alignment import align
from client.errors import DecoderError
from tests.client.support import peaky

BLANK = 3


def collapse(path):
    return [token for token, _ in groupby(path) if token != BLANK]


def path_of(runs, n_frames):
    path = [BLANK] * n_frames
    for token, start, end in zip(runs.tokens, runs.starts, runs.ends, strict=True):
        path[start:end] = [token] * (end - start)
    return path


@given(
    arrays(np.float32, (5, BLANK + 1), elements=st.floats(-9, 0, width=32)),
    st.lists(st.integers(0, BLANK - 1), max_size=4),
)
def test_the_alignment_is_the_best_of_all_paths(log_probs, tokens):
    assume(len(tokens) + sum(a == b for a, b in pairwise(tokens)) <= 5)
    frames = np.arange(5)
    scores = [
        log_probs[frames, list(path)].sum()
        for path in product(range(BLANK + 1), repeat=5)
        if collapse(path) == tokens
    ]
    found = path_of(align(log_probs, tokens, BLANK), 5)
    assert collapse(found) == tokens
    assert log_probs[frames, found].sum() == pytest.approx(max(scores), abs=1e-4)


@given(st.lists(st.integers(0, BLANK), min_size=1, max_size=30))
def test_what_was_said_clearly_is_where_it_was_said(path):
    log_probs = peaky(np.array(path), BLANK + 1)
    assert path_of(align(log_probs, collapse(path), BLANK), len(path)) == path


def test_tokens_of_probability_0_are_refused():
    log_probs = np.full((4, BLANK + 1), -np.inf, np.float32)
    log_probs[:, BLANK] = 0
    with pytest.raises(DecoderError, match="probability 0"):
        align(log_probs, [0, 1], BLANK)


@pytest.mark.parametrize(("tokens", "frames"), [([0, 1], 1), ([0, 0], 2), ([1], 0)])
def test_tokens_that_do_not_fit_are_refused(tokens, frames):
    with pytest.raises(DecoderError, match=f"{frames} frames"):
        align(np.zeros((frames, BLANK + 1), np.float32), tokens, BLANK)
