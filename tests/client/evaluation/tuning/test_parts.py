"""What is held out: the same each time, and no sentence that is tuned on."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.commands.flags import FLAGS
from client.errors import ManifestError
from client.evaluation.acoustic_cache import AcousticOutput
from client.evaluation.tuning.parts import Example, Parts, count_words, hold_out

SENTENCES = st.lists(
    st.sampled_from(["one", "one ", "two", "two two", "two  two", "three", "four", ""]), min_size=1
)


def spoken(sentences):
    return [
        Example(text, AcousticOutput(Path(f"{n}.npy"), 1.0)) for n, text in enumerate(sentences)
    ]


def texts(utterances):
    return {" ".join(utterance.reference.split()) for utterance in utterances}


def split(utterances):
    """The parts, or none where there are too few sentences."""
    try:
        return hold_out(utterances)
    except ManifestError:
        return None


@given(SENTENCES)
def test_parts_are_disjoint_in_sentences_and_hold_everything_in_order(sentences):
    utterances = spoken(sentences)
    parts = split(utterances)
    if parts is not None:
        assert not texts(parts.tuning) & texts(parts.held_out)
        assert 0 < len(parts.held_out) <= len(utterances) / 3
        number = {utterance.output.path: place for place, utterance in enumerate(utterances)}
        for part in parts:
            places = [number[utterance.output.path] for utterance in part]
            assert places == sorted(places)
        assert len(parts.tuning) + len(parts.held_out) == len(utterances)


@given(SENTENCES, st.randoms())
def test_the_order_of_the_manifest_does_not_matter(sentences, random):
    shuffled = sentences.copy()
    random.shuffle(shuffled)
    parts, others = split(spoken(sentences)), split(spoken(shuffled))
    assert (parts and texts(parts.held_out)) == (others and texts(others.held_out))


def test_held_out_utterances_whose_sentence_is_tuned_on_are_counted():
    assert Parts(spoken(["a b", "d"]), spoken([" a  b ", "c", "a b"])).common == 2


def test_a_third_of_many_different_sentences_is_held_out():
    parts = hold_out(spoken([f"sentence {n}" for n in range(100)]))
    assert (len(parts.tuning), len(parts.held_out)) == (67, 33)


@pytest.mark.parametrize("sentences", [["a"], ["a", "b"], ["a"] * 50, ["yes", "no"] * 10])
def test_too_few_sentences_are_an_error_that_says_what_to_do(sentences):
    with pytest.raises(ManifestError, match="hold out another manifest") as raised:
        hold_out(spoken(sentences))
    assert "--held-out" in raised.value.text(FLAGS)


def test_words_are_counted():
    assert count_words(spoken(["a b  c", "", "d"])) == 4
