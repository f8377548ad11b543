"""pyctcdecode behind our interface gives what the package gives when called directly."""

import logging
import math
import sys
from contextlib import closing
from dataclasses import replace

import kenlm
import numpy as np
import pytest
from pyctcdecode import BeamSearchDecoderCTC, build_ctcdecoder
from pyctcdecode.language_model import LanguageModel, MultiLanguageModel

from client.decoding import (
    BeamOptions,
    Hotword,
    PyctcdecodeDecoder,
    PyctcdecodeOptions,
    WeightedLm,
    make_decoder,
)
from client.decoding.pyctcdecode import _words
from client.errors import DecoderError, MissingPackage
from client.language_models import read_words
from tests.client.support import ARPA, CONTRACT, PIECES, peaky, tokens_of

CHARACTERS = replace(CONTRACT, vocabulary=tuple(" acdogt'"), blank=8)
CONTRACTS = {"characters": CHARACTERS, "pieces": PIECES}
UTTERANCES = 12
OPTIONS = {
    "nothing": {},
    "the language model": {"lm": True},
    "other weights": {"lm": True, "alpha": 1.5, "beta": -0.5, "unk_score_offset": -3.0},
    "hotwords": {"hotwords": (Hotword("cot"), Hotword("cat cat")), "hotword_weight": 4.0},
    "language model and hotwords": {"lm": True, "hotwords": (Hotword("cat"),)},
    "a narrow search": {"lm": True, "beam_width": 3, "beam_prune_logp": -4, "token_min_logp": -3},
}


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    return path


@pytest.fixture(autouse=True)
def _nothing_stays_in_the_registry():
    before = set(BeamSearchDecoderCTC.model_container)
    yield
    assert set(BeamSearchDecoderCTC.model_container) == before


def utterances(contract, seed=0):
    """Random ``log_probs``, some flat and some sharp."""
    rng = np.random.default_rng(seed)
    for _ in range(UTTERANCES):
        shape = (rng.integers(1, 15), contract.blank + 1)
        scores = rng.normal(0, rng.choice((1, 4)), shape)
        yield (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))).astype(np.float32)


def directly(contract, options):
    """The package as its README says; it tells pieces by their ``▁``."""
    lm = options.lm
    return build_ctcdecoder(
        [*contract.vocabulary, ""],
        None if lm is None else str(lm),
        None if lm is None else sorted(read_words(lm)),
        options.alpha,
        options.beta,
        options.unk_score_offset,
    )


def search(options, *, prune_history):
    return {
        "beam_width": options.beam_width,
        "beam_prune_logp": options.beam_prune_logp,
        "token_min_logp": options.token_min_logp,
        "hotwords": [hotword.text for hotword in options.hotwords],
        "hotword_weight": options.hotword_weight,
        "prune_history": prune_history,
    }


@pytest.mark.parametrize("nbest", [1, 5])
@pytest.mark.parametrize("chosen", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
def test_texts_scores_and_frames_are_the_packages(arpa, contract, chosen, nbest):
    chosen = {**chosen, "lm": arpa if "lm" in chosen else None}
    options = PyctcdecodeOptions(**chosen, nbest=nbest)
    package = directly(contract, options)
    arguments = search(options, prune_history=nbest == 1)
    with closing(PyctcdecodeDecoder(contract, options)) as decoder:
        for log_probs in utterances(contract):
            transcript = decoder.decode(log_probs)
            expected = package.decode_beams(log_probs, **arguments)[:nbest]
            assert [each.text for each in transcript.nbest] == [beam[0] for beam in expected]
            assert (transcript.text, transcript.words) == (
                transcript.nbest[0].text,
                transcript.nbest[0].words,
            )
            for hypothesis, (text, _, frames, acoustic, score) in zip(
                transcript.nbest, expected, strict=True
            ):
                assert hypothesis.acoustic_score == pytest.approx(acoustic)
                assert hypothesis.score == pytest.approx(score)
                stride_s = contract.frame_stride_s
                assert [(word.text, word.start_s, word.end_s) for word in hypothesis.words] == [
                    (word, start * stride_s, end * stride_s) for word, (start, end) in frames
                ]
                assert [word.text for word in hypothesis.words] == text.split()
                assert all(word.confidence is None for word in hypothesis.words)
    package.cleanup()


def test_one_text_is_that_of_its_decode(arpa):
    options = PyctcdecodeOptions(arpa)
    package = directly(CHARACTERS, options)
    arguments = search(options, prune_history=True)
    del arguments["prune_history"]
    with closing(PyctcdecodeDecoder(CHARACTERS, options)) as decoder:
        for log_probs in utterances(CHARACTERS, seed=1):
            assert decoder.decode(log_probs).text == package.decode(log_probs, **arguments)
    package.cleanup()


def test_of_several_language_models_it_takes_the_mean(arpa, tmp_path):
    other = tmp_path / "other.arpa"
    other.write_text(ARPA.replace("-0.5\tcat", "-2.5\tcat").replace("-0.1\t<s> cat", "-2\t<s> cat"))
    options = PyctcdecodeOptions((WeightedLm(arpa, 0.4), WeightedLm(other)), alpha=2.0, nbest=3)
    models = [
        LanguageModel(kenlm.Model(str(path)), read_words(path), alpha, options.beta)
        for path, alpha in ((arpa, 0.8), (other, 2.0))
    ]
    package = build_ctcdecoder([*CHARACTERS.vocabulary, ""])
    package.cleanup()
    package = BeamSearchDecoderCTC(package._alphabet, MultiLanguageModel(models))
    with closing(PyctcdecodeDecoder(CHARACTERS, options)) as decoder:
        for log_probs in utterances(CHARACTERS):
            found = decoder.decode(log_probs).nbest
            expected = package.decode_beams(log_probs, **search(options, prune_history=False))[:3]
            assert [each.text for each in found] == [beam[0] for beam in expected]
            assert [each.score for each in found] == pytest.approx([beam[4] for beam in expected])
    package.cleanup()


def test_words_of_a_binary_are_known_as_those_of_an_arpa_file(arpa, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("cat\ndog\n")
    packed = arpa.rename(tmp_path / "packed")  # the package goes by the name
    log_probs = np.log(np.full((1, 9), 1e-3, np.float32))
    log_probs = np.repeat(log_probs, 3, axis=0)
    for frame, letter in enumerate("cot"):
        log_probs[frame, CHARACTERS.vocabulary.index(letter)] = math.log(0.992)
    with closing(PyctcdecodeDecoder(CHARACTERS, PyctcdecodeOptions(packed))) as decoder:
        known = decoder.decode(log_probs).nbest[0].score
    with closing(PyctcdecodeDecoder(CHARACTERS, PyctcdecodeOptions(packed, words))) as decoder:
        unknown = decoder.decode(log_probs).nbest[0].score
    assert unknown == pytest.approx(known - 10 * 0.5 * math.log(10))


def test_a_word_lasts_no_longer_than_the_audio_and_no_frames_are_no_text():
    log_probs = peaky(tokens_of("cat dog"), CONTRACT.blank + 1)
    with closing(PyctcdecodeDecoder(CONTRACT, PyctcdecodeOptions())) as decoder:
        *_, last = decoder.decode(log_probs, 0.22).words
        assert last.end_s == 0.22
        assert decoder.decode(log_probs[:0]).text == ""


def test_a_word_without_a_start_begins_where_the_one_before_ends():
    words = list(_words([("a", (2, 5)), ("b", (-1, 9))], 0.5, 4.0))
    assert [(word.start_s, word.end_s) for word in words] == [(1.0, 2.5), (2.5, 4.0)]


def test_it_says_nothing_on_standard_error_and_leaves_its_log_to_who_wants_it(arpa, capfd, caplog):
    with caplog.at_level(logging.WARNING, "pyctcdecode"):
        PyctcdecodeDecoder(PIECES, PyctcdecodeOptions(arpa)).close()
    assert capfd.readouterr().err == ""
    assert "unigrams" in caplog.text


def test_it_is_made_by_make_decoder(arpa):
    with closing(make_decoder(CONTRACT, PyctcdecodeOptions(arpa, nbest=2))) as decoder:
        outputs = peaky(tokens_of("cot dog"), CONTRACT.blank + 1)
        assert decoder.decode(outputs).text == "cot dog"


@pytest.mark.parametrize(
    ("contract", "options", "says"),
    [
        (CONTRACT, {"lm": "gone.arpa"}, "gone.arpa"),
        (CONTRACT, {"hotwords": (Hotword("Zürich"),)}, "cannot write"),
        (replace(CONTRACT, vocabulary=("a", "b", "a"), blank=3), {}, "the vocabulary repeats 'a'"),
        (replace(CONTRACT, vocabulary=("a", ""), blank=2), {}, "the vocabulary repeats ''"),
    ],
    ids=["no model", "hotword", "repeated", "empty"],
)
def test_what_it_cannot_use_is_refused(contract, options, says):
    with pytest.raises(DecoderError, match=says):
        PyctcdecodeDecoder(contract, PyctcdecodeOptions(**options))


def test_a_language_model_that_cannot_be_written_is_refused(arpa):
    contract = replace(CONTRACT, vocabulary=tuple(" xyz"), blank=4)
    with pytest.raises(DecoderError, match="can write none of its 3 words"):
        PyctcdecodeDecoder(contract, PyctcdecodeOptions(arpa))


@pytest.mark.parametrize("values", [np.float32(0.5), np.float32("nan")])
def test_probabilities_are_never_taken_for_logarithms(values):
    with (
        closing(PyctcdecodeDecoder(CONTRACT, PyctcdecodeOptions())) as decoder,
        pytest.raises(DecoderError, match="log_probs"),
    ):
        decoder.decode(np.full((2, 29), values))


def test_a_weight_of_one_hotword_is_refused():
    with pytest.raises(DecoderError, match="hotword 'a' has its own weight"):
        PyctcdecodeOptions(hotwords=(Hotword("a", 3.0),))
    with pytest.raises(DecoderError, match="beam_width 0"):
        PyctcdecodeOptions(beam_width=0)


def test_defaults_are_the_packages():
    ours, theirs = BeamOptions(), PyctcdecodeOptions()
    assert (theirs.alpha, theirs.beta, theirs.beam_width) == (ours.alpha, ours.beta, 100)
    assert (theirs.hotword_weight, theirs.token_min_logp) == (10.0, -5.0)


@pytest.mark.parametrize("package", ["pyctcdecode", "kenlm"])
def test_a_missing_package_is_named(monkeypatch, arpa, package):
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage, match=package):
        PyctcdecodeDecoder(CONTRACT, PyctcdecodeOptions(arpa))
