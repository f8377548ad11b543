"""Greedy decoding: CTC's two rules, and how each vocabulary is written."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.decoding import GreedyDecoder
from client.errors import DecoderError
from tests.client.support import CONTRACT, PIECES


@given(st.lists(st.sampled_from([0, 1, 2, CONTRACT.blank]), max_size=40))
def test_greedy_does_what_the_definition_of_ctc_says(tokens):
    runs = [token for token, _ in groupby(tokens) if token != CONTRACT.blank]
    expected = "".join(CONTRACT.vocabulary[token] for token in runs)
    assert GreedyDecoder(CONTRACT).decode(np.array(tokens, np.int32)).text == expected


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ([], ""),
        ([6, 6], ""),
        ([1, 3, 4], "cats"),
        ([1, 1, 6, 3, 3, 2, 3], "cat cot"),
        ([3, 6, 3, 1], "tt ca"),
        ([1, 3, 5, 4], "cat s"),
        ([5, 5, 5], ""),
        ([1, 3, 0, 2, 3], "cat ⁇  cot"),
    ],
)
def test_pieces_become_words(tokens, text):
    assert GreedyDecoder(PIECES).decode(np.array(tokens, np.int32)).text == text


@pytest.mark.parametrize("token", [-1, 29, 1000])
def test_a_token_outside_the_vocabulary_is_refused(token):
    with pytest.raises(DecoderError, match="vocabulary"):
        GreedyDecoder(CONTRACT).decode(np.array([1, token], np.int32))
