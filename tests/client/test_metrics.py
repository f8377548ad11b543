"""Error rates: the counts add up, the edges are defined, the published figures come out."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.metrics import (
    ErrorCounts,
    character_errors,
    difference_interval,
    errors_by_utterance,
    matched_words,
    rate_interval,
    side_by_side,
    word_errors,
)
from demo.paths import SPEECH_DATA

NOTEBOOK = SPEECH_DATA / "singapore" / "notebook_hypotheses.json"


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts", "rate"),
    [
        ("one two three", "one two three", ErrorCounts(3, 0, 0, 0), 0.0),
        ("one two three", "one too three", ErrorCounts(2, 1, 0, 0), 1 / 3),
        ("one two three", "one three", ErrorCounts(2, 0, 1, 0), 1 / 3),
        ("one two", "one or two or", ErrorCounts(2, 0, 0, 2), 1.0),
        ("one", "two three four", ErrorCounts(0, 1, 0, 2), 3.0),
        ("one two", "", ErrorCounts(0, 0, 2, 0), 1.0),
        ("", "one two", ErrorCounts(0, 0, 0, 2), 2.0),
        ("", "", ErrorCounts(0, 0, 0, 0), 0.0),
        ("One", "one", ErrorCounts(0, 1, 0, 0), 1.0),
        (" one   two ", "one two", ErrorCounts(2, 0, 0, 0), 0.0),
    ],
)
def test_words_are_counted(reference, hypothesis, counts, rate):
    assert word_errors([reference], [hypothesis]) == counts
    assert counts.rate == pytest.approx(rate)


def test_no_utterances_make_no_errors():
    assert word_errors([], []) == character_errors([], []) == ErrorCounts(0, 0, 0, 0)
    assert word_errors([], []).rate == 0


def test_the_corpus_is_pooled_not_averaged():
    assert word_errors(["a", "b c d"], ["x", "b c d"]).rate == 1 / 4


def test_characters_count_spaces():
    assert character_errors(["ab c"], ["abc"]) == ErrorCounts(3, 0, 1, 0)


def test_corpora_of_different_size_are_refused():
    with pytest.raises(ValueError, match="lengths must match"):
        word_errors(["a", "b"], ["a"])


words = st.lists(st.sampled_from("abc"), max_size=8).map(" ".join)


@given(words, words)
def test_counts_add_up_to_both_lengths(reference, hypothesis):
    counts = word_errors([reference], [hypothesis])
    assert counts.reference == len(reference.split())
    assert counts.hits + counts.substitutions + counts.insertions == len(hypothesis.split())


@given(words, words)
def test_side_by_side_loses_no_word_and_lines_up(reference, hypothesis):
    above, below = (line.split() for line in side_by_side(reference, hypothesis))
    assert [word for word in above if "*" not in word] == reference.split()
    assert [word for word in below if "*" not in word] == hypothesis.split()
    assert len(above) == len(below)


@pytest.mark.skipif(not NOTEBOOK.exists(), reason=f"needs {NOTEBOOK} (set SPEECH_DATA)")
@pytest.mark.parametrize(("decoder", "wer_percent"), [("greedy", 21.26), ("beam", 29.13)])
def test_the_reference_notebooks_figures_come_out(decoder, wer_percent):
    samples = json.loads(NOTEBOOK.read_text())["samples"]
    counts = word_errors([row["text"] for row in samples], [row[decoder] for row in samples])
    assert round(counts.rate * 100, 2) == wer_percent


def test_errors_of_each_utterance_add_up_to_the_corpus():
    references = ["a b c", "d e", "x", "one two"]
    hypotheses = ["a c", "d f g", "x", ""]
    by_utterance = errors_by_utterance(references, hypotheses)
    assert by_utterance.tolist() == [[1, 3], [2, 2], [0, 1], [2, 2]]
    assert by_utterance[:, 0].sum() == word_errors(references, hypotheses).errors


def test_the_interval_holds_the_rate_and_narrows_with_more_utterances():
    few = np.array([[0, 10], [1, 10], [3, 10], [0, 10]] * 5)
    many = np.tile(few, (25, 1))
    widths = []
    for counts in (few, many):
        low, high = rate_interval(counts)
        assert low <= 0.1 <= high
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(5, rel=0.2)  # the root of 25


def test_the_interval_is_the_normal_approximations_where_that_holds():
    counts = np.column_stack((np.random.default_rng(1).poisson(1.0, 400), np.full(400, 10)))
    low, high = rate_interval(counts)
    expected = 1.96 * counts[:, 0].std() / 10 / np.sqrt(400)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.1)


def test_a_difference_is_told_by_pairs_where_the_rates_intervals_overlap():
    rng = np.random.default_rng(2)
    errors = rng.integers(0, 9, 100)
    better = np.maximum(errors - rng.integers(0, 2, 100), 0)
    words = np.full(100, 10)
    first, second = np.column_stack((better, words)), np.column_stack((errors, words))
    assert rate_interval(first)[1] > rate_interval(second)[0]
    low, high = difference_interval(first, second)
    assert low < (better - errors).sum() / 1000 < high < 0


def test_matched_words_are_told_by_their_places():
    assert matched_words("a b c d", "x a c d") == [(0, 1), (2, 2), (3, 3)]
    assert matched_words("a b", "") == []
