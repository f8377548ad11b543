"""Generated speech: the same every time, shaped like a CTC model's outputs, and learnable."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from benchmarks.generated_speech import GeneratedSpeech, SpeechOptions
from client.decoding import GreedyDecoder
from client.evaluation.metrics import word_errors
from client.vocabulary import WORD_START

COUNT = 200
CLEAN = SpeechOptions(
    certainty=(20.0, 0.0), blank_certainty=(20.0, 0.0), utterance_spread=0.0, mistaken=0.0
)


@pytest.fixture(scope="module")
def generated():
    return GeneratedSpeech()


@pytest.fixture(scope="module")
def speech(generated):
    return generated.first(COUNT)


@pytest.fixture(scope="module")
def frames(speech):
    return np.concatenate(speech.log_probs)  # [frames, V]


def greedy_texts(speech):
    decoder = GreedyDecoder(speech.contract)
    return [decoder.decode(each.argmax(axis=1).astype(np.int32)).text for each in speech.log_probs]


def test_the_same_seed_gives_the_same_bits(generated, speech):
    again = GeneratedSpeech(SpeechOptions(seed=0))
    assert again.contract == speech.contract
    for number in (3, 0):  # whatever was generated before
        utterance = again.utterance(number)
        assert utterance.text == speech.references[number]
        assert utterance.log_probs.tobytes() == speech.log_probs[number].tobytes()
    assert again.training_sentences(20, set()) == generated.training_sentences(20, set())


def test_another_seed_is_another_language(speech):
    other = GeneratedSpeech(SpeechOptions(seed=1))
    assert other.contract.vocabulary != speech.contract.vocabulary
    assert other.utterance(0).text != speech.references[0]


def test_the_vocabulary_is_1024_pieces_and_the_blank_comes_last(speech, frames):
    vocabulary = speech.contract.vocabulary
    assert len(set(vocabulary)) == len(vocabulary) == speech.contract.blank == 1024
    assert sum(piece.startswith(WORD_START) for piece in vocabulary) == 448
    assert frames.shape[1] == 1025
    assert frames.dtype == np.float32


def test_rows_are_log_probabilities(frames):
    np.testing.assert_allclose(np.exp(frames.astype(np.float64)).sum(axis=1), 1.0, atol=1e-5)
    assert frames.max() <= 0
    assert np.isfinite(frames).all()


def test_frames_are_as_sure_as_stated(speech, frames):
    best = frames.argmax(axis=1)
    blank = best == speech.contract.blank
    likely = frames >= -5
    likely[np.arange(len(frames)), best] = True
    candidates = likely.sum(axis=1)
    assert blank.mean() == pytest.approx(0.68, abs=0.03)
    assert (blank & (candidates == 1)).mean() == pytest.approx(0.62, abs=0.03)
    assert candidates.mean() == pytest.approx(1.5, abs=0.15)
    assert candidates[~blank].mean() == pytest.approx(2.2, abs=0.2)
    assert candidates[blank].mean() == pytest.approx(1.18, abs=0.05)
    most = np.exp(frames.max(axis=1).astype(np.float64)).clip(max=1 - 1e-9)
    log_odds = np.log(most / (1 - most))[~blank]
    assert log_odds.mean() == pytest.approx(5.2, abs=0.4)
    assert log_odds.std() == pytest.approx(3.4, abs=0.4)


def test_words_come_as_fast_as_people_speak(speech):
    spoken_s = sum(map(len, speech.log_probs)) * speech.contract.frame_stride_s
    words = sum(len(text.split()) for text in speech.references)
    assert words / spoken_s == pytest.approx(2.3, abs=0.3)


def test_greedy_decoding_is_wrong_about_every_eighth_word(speech):
    rate = word_errors(speech.references, greedy_texts(speech)).rate
    assert 0.08 < rate < 0.15


def test_without_doubt_greedy_decoding_reads_the_references():
    speech = GeneratedSpeech(CLEAN).first(20)
    assert greedy_texts(speech) == speech.references


def test_two_of_the_same_piece_have_a_blank_between():
    words = {"start_pieces": 200, "inner_pieces": 200, "words": 200, "short_words": 200}
    speech = GeneratedSpeech(replace(CLEAN, blanks_between=0.1, **words)).first(40)
    sentences = [text.split() for text in speech.references]
    assert any(one == other for words in sentences for one, other in pairwise(words))
    assert greedy_texts(speech) == speech.references


def test_training_sentences_have_none_of_the_references(generated, speech):
    spoken = set(speech.references)
    sentences = generated.training_sentences(2000, spoken)
    assert len(sentences) == 2000
    assert not spoken.intersection(sentences)
    assert generated.training_sentences(3, set(sentences[:2])) == sentences[2:5]


def test_sentences_have_five_to_twenty_five_words_which_like_to_follow_each_other(generated):
    sentences = [text.split() for text in generated.training_sentences(3000, set())]
    lengths = [len(sentence) for sentence in sentences]
    assert (min(lengths), max(lengths)) == (5, 25)
    pairs = [pair for words in sentences for pair in pairwise(words)]
    words = {word for sentence in sentences for word in sentence}
    assert 1000 < len(words) <= 4000
    assert len(set(pairs)) < 0.6 * len(pairs)  # by frequency alone it would be nearly all
