"""Hotwords pull hypotheses towards them while they are spelled, and only towards them."""

import numpy as np
import pytest

from client.decoding import BeamDecoder, BeamOptions, Hotword
from client.errors import DecoderError
from tests.client.support import ARPA, CONTRACT, peaky, tokens_of

N_TOKENS = CONTRACT.blank + 1


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    return path


def doubtful(text, instead, share=0.3):
    """Acoustics that prefer ``text``, with ``instead`` the second best, letter by letter."""
    log_probs = peaky(tokens_of(text), N_TOKENS)
    for frame, (said, other) in enumerate(zip(text, instead, strict=True)):
        if said != other:
            index = CONTRACT.vocabulary.index
            log_probs[2 * frame, [index(said), index(other)]] = np.log([1 - share, share - 2e-3])
    return log_probs


def decode(log_probs, *hotwords, **options):
    return BeamDecoder(CONTRACT, BeamOptions(hotwords=hotwords, **options)).decode(log_probs).text


@pytest.mark.parametrize("lm", [False, True], ids=["alone", "with a language model"])
def test_a_hotword_is_preferred_known_to_the_language_model_or_not(arpa, lm):
    options = {"lm": arpa} if lm else {}
    for hotword in ("cot", "cub"):
        heard = doubtful("cat", hotword)
        assert decode(heard, **options) == "cat"
        assert decode(heard, Hotword(hotword), **options) == hotword


def test_the_strongest_of_two_wins():
    heard = doubtful("cat", "cot", 0.4)
    assert decode(heard, Hotword("cat", 3.0), Hotword("cot", 9.0)) == "cot"
    assert decode(heard, Hotword("cat", 9.0), Hotword("cot", 3.0)) == "cat"


def test_weight_0_is_no_hotword():
    assert decode(doubtful("cat", "cot"), Hotword("cot", 0.0)) == "cat"


def test_a_longer_word_that_begins_as_a_hotword_gains_nothing():
    heard = doubtful("cats", "cots", 0.2)
    assert decode(heard, Hotword("cot")) == "cats"


def test_a_phrase_counts_as_a_whole_and_not_in_part():
    phrase = Hotword("new cot", 6.0)
    assert decode(doubtful("new cat", "new cot"), phrase) == "new cot"
    assert decode(doubtful("old cat", "old cot"), phrase) == "old cat"


def test_a_phrase_is_found_where_its_own_start_came_before():
    """An automaton that fell back to nothing would miss "a b" in "a a b"."""
    assert decode(doubtful("a a c", "a a b"), Hotword("a b")) == "a a b"


def test_hotwords_that_are_not_said_are_not_heard():
    log_probs = peaky(tokens_of("cat dog"), N_TOKENS)
    hotwords = [Hotword(word) for word in ("singapore", "cut", "dig", "cat dig")]
    assert decode(log_probs, *hotwords) == "cat dog"


@pytest.mark.parametrize("word", ["CAT", "café", "cat 5"])
def test_a_hotword_that_cannot_be_written_is_refused(word):
    with pytest.raises(DecoderError, match="cannot write"):
        BeamDecoder(CONTRACT, BeamOptions(hotwords=(Hotword(word),)))


@pytest.mark.parametrize("hotword", ["it 's", "it's", "rock 'n' cot", "rock'n' cot"])
def test_a_hotword_is_found_as_the_text_is_written(hotword):
    """NeMo closes "it 's" up to "it's", and so are hotwords."""
    said = hotword.replace("i", "a").replace("cot", "cat")
    heard = doubtful(said, hotword)
    written = said.replace(" '", "'")
    assert decode(heard) == written
    assert decode(heard, Hotword(hotword)) == hotword.replace(" '", "'")


def test_hotwords_that_are_written_the_same_are_given_twice():
    with pytest.raises(DecoderError, match="given twice"):
        decode(doubtful("cat", "cot"), Hotword("it 's"), Hotword("it's"))


def test_hotwords_that_are_no_hotwords_are_refused():
    with pytest.raises(DecoderError, match="Hotword"):
        BeamOptions(hotwords=("cat",))
