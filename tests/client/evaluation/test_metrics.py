"""Error rates: the counts add up, the edges are defined, the published figures come out."""

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.evaluation.metrics import (
    ErrorCounts,
    character_errors,
    difference_interval,
    errors_by_utterance,
    lines_of,
    p_value,
    rate_interval,
    word_columns,
    word_errors,
)
from demo.paths import SPEECH_DATA
from tests.needs import needs_speech

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
        ("one\ttwo\u3000three", "one two three", ErrorCounts(3, 0, 0, 0), 0.0),
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


def test_counts_of_parts_add_up_to_those_of_the_whole():
    references, hypotheses = ["a b c", "d e", "x"], ["a c", "d f g", ""]
    parts = [word_errors([one], [two]) for one, two in zip(references, hypotheses, strict=True)]
    assert sum(parts, start=ErrorCounts(0, 0, 0, 0)) == word_errors(references, hypotheses)


@given(words, words)
def test_side_by_side_loses_no_word_and_lines_up(reference, hypothesis):
    above, below = (line.split() for line in lines_of(word_columns(reference, hypothesis), 2))
    assert [word for word in above if "*" not in word] == reference.split()
    assert [word for word in below if "*" not in word] == hypothesis.split()
    assert len(above) == len(below)


@needs_speech(NOTEBOOK)
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


@given(words, st.lists(words, min_size=1, max_size=3))
def test_columns_hold_every_text_in_order(reference, hypotheses):
    columns = word_columns(reference, *hypotheses)
    texts = [" ".join(filter(None, row)) for row in zip(*columns, strict=True)]
    if columns:
        assert texts == [reference, *hypotheses]
    assert all(any(column) for column in columns)


def test_several_texts_stand_under_one_reference():
    texts = lines_of(word_columns("a b c d", "x a b d", "a c c d e"), 3)
    assert texts == ("* a b c d *", "x a b * d *", "* a c c d e")
    assert lines_of([("", "and")], 2) == ("***", "and")


errors = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8)


@given(errors)
def test_the_p_value_is_that_of_all_ways_of_exchanging_errors(pairs):
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    sums = np.array(list(product((1, -1), repeat=len(pairs)))) @ (first - second)
    likely = np.mean(np.abs(sums) >= abs((first - second).sum()))
    assert p_value(first, second) == pytest.approx(likely)
    assert p_value(second, first) == p_value(first, second)


def test_the_p_value_is_small_for_what_always_differs_and_1_for_what_does_not():
    ones = np.ones(40, np.int64)
    assert p_value(ones * 2, ones) == pytest.approx(2 * 0.5**40)
    assert p_value(ones, ones) == 1
    assert p_value(ones[:0], ones[:0]) == 1


def test_p_values_of_equal_systems_are_uniform():
    """Ten percent of them are at most 0.1, whatever the errors' distribution."""
    rng = np.random.default_rng(3)
    values = [p_value(*rng.poisson(0.8, (2, 80))) for _ in range(400)]
    assert np.mean(np.array(values) <= 0.1) == pytest.approx(0.1, abs=0.045)
