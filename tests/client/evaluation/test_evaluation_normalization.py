"""Normalisation does what its names say, in the order given, and nothing unasked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.evaluation import EvaluationOptions
from client.evaluation.normalization import MEANINGS, STEPS, normalized

STEP = st.sampled_from(sorted(STEPS))


@pytest.mark.parametrize(
    ("steps", "text", "expected"),
    [
        ((), "  As  it IS. ", "  As  it IS. "),
        (("lower",), "  As  it IS. ", "as it is."),
        (("lower",), "\u0130stanbul I\u0307stanbul ISPARTA", "istanbul istanbul isparta"),
        (("lower-tr",), "\u0130stanbul I\u0307stanbul ISPARTA", "istanbul istanbul \u0131sparta"),
        (("punctuation",), "Well, twenty-one (or so)!", "Well twenty one or so"),
        (("punctuation",), "don't 'quote' o\u2019clock dogs'", "don't quote o'clock dogs"),
        (("punctuation",), "¿qué? «sí» 100 % 3.5", "qué sí 100 3 5"),
        (("apostrophes",), "don't o\u2019clock", "dont oclock"),
        (("accents",), "Été naïve Ångström", "Ete naive Angstrom"),
        (("nfkc",), "e\u0301 \ufb01ve \uff12", "é five 2"),
        (("lower", "punctuation", "apostrophes"), "Don't STOP!", "dont stop"),
        (("punctuation",), "'", ""),
    ],
)
def test_steps(steps, text, expected):
    assert normalized(text, steps) == expected


@given(st.text(), st.lists(STEP, min_size=1, unique=True))
def test_words_are_apart_by_one_space(text, steps):
    done = normalized(text, steps)
    assert done == " ".join(done.split())


def test_each_step_has_a_meaning_for_people():
    assert list(MEANINGS) == list(STEPS)


def test_an_unknown_step_is_an_error():
    with pytest.raises(KeyError):
        normalized("text", ["upper"])


@pytest.mark.parametrize("steps", [("lowercase",), ("lower", "lowercase"), "lower"])
def test_options_with_an_unknown_step_are_refused_at_once(steps):
    with pytest.raises(ValueError, match=r"is .*'lower.*, expected a tuple of some of nfkc"):
        EvaluationOptions(steps)
