"""Beam search against definitions: exhaustive CTC, greedy decoding, and any input at all."""

import math
from dataclasses import replace
from itertools import groupby, pairwise, product

import kenlm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from client.decoding import BeamDecoder, BeamOptions, GreedyDecoder, GreedyOptions, Hotword
from client.language_models import read_words
from client.vocabulary import Detokenizer
from tests.client.support import ARPA, CONTRACT, PIECES, peaky

SMALL = replace(CONTRACT, vocabulary=(" ", "a", "b", "c"), blank=4)
EXHAUSTIVE = {"beam_width": 1_000, "beam_prune_logp": -1000.0, "token_min_logp": -100.0}
WIDTH_ONE = BeamDecoder(SMALL, BeamOptions(beam_width=1))
PLAIN = BeamDecoder(SMALL, BeamOptions())


def log_softmax(logits):
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


log_probs_of_small = arrays(
    np.float64, st.tuples(st.integers(0, 40), st.just(5)), elements=st.floats(-12, 12)
).map(log_softmax)


@pytest.fixture(scope="module")
def arpa(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.arpa"
    path.write_text(ARPA)
    return path


def text_of(alignment, contract):
    tokens = [token for token, _ in groupby(alignment) if token != contract.blank]
    detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
    return detokenizer.close_up(" ".join(detokenizer.text(tokens).split()))


def texts_by_probability(log_probs, contract):
    """The log-probability of every text, summed over all its alignments."""
    frames = np.arange(len(log_probs))
    found = {}
    for alignment in product(range(contract.blank + 1), repeat=len(log_probs)):
        log_prob = float(log_probs[frames, list(alignment)].astype(np.float64).sum())
        text = text_of(alignment, contract)
        found[text] = np.logaddexp(found.get(text, -np.inf), log_prob)
    return found


def words_of(hotword):
    return hotword.text.replace(" ,", ",").split()


def word_score(text, options):
    """What the words of a text add, by the formula in client.decoding.scoring."""
    words = text.split()
    score = 0.0
    if options.lm:
        known = read_words(options.lm) | {w for h in options.hotwords for w in words_of(h)}
        log10 = kenlm.Model(str(options.lm)).score(text)
        log10 += options.unk_score_offset * sum(word not in known for word in words)
        score = options.alpha * log10 * math.log(10) + options.beta * len(words)
    for hotword in options.hotwords:
        phrase = words_of(hotword)
        starts = range(len(words) - len(phrase) + 1)
        hits = sum(words[start : start + len(phrase)] == phrase for start in starts)
        score += hits * options.weight_of(hotword)
    return score


CHARACTERS = replace(CONTRACT, vocabulary=("ca", "co", "t", "d", "og", " "), blank=6)
WITH_MARKS = replace(CONTRACT, vocabulary=("ca", "co", "t", ",", "' ", " "), blank=6)
PIECES_WITH_MARKS = replace(PIECES, vocabulary=("<unk>", "▁ca", "co", "t", ",", "▁"))


HOTWORDS = {
    "none": (),
    "a known word": (Hotword("cot", 3.0),),
    "a phrase and unknown words": (Hotword("tt", 9.0), Hotword("cat co", 4.0), Hotword("cott")),
}
MARKED = {"words with marks": (Hotword("ca, co", 4.0), Hotword("t ,", 2.0))}


@pytest.mark.parametrize(
    ("contract", "hotwords"),
    [
        pytest.param(contract, hotwords, id=f"{name}, {which}")
        for name, contract, more in (
            ("characters", CHARACTERS, {}),
            ("pieces", PIECES, {}),
            ("characters with marks", WITH_MARKS, MARKED),
            ("pieces with marks", PIECES_WITH_MARKS, MARKED),
        )
        for which, hotwords in (HOTWORDS | more).items()
    ],
)
@pytest.mark.parametrize("with_lm", [True, False])
def test_texts_and_scores_are_those_of_the_definition(arpa, contract, hotwords, with_lm):
    lm = arpa if with_lm else None
    options = BeamOptions(lm=lm, hotwords=hotwords, nbest=5, hotword_weight=5.0, **EXHAUSTIVE)
    decoder = BeamDecoder(contract, options)
    best_alone = BeamDecoder(contract, replace(options, nbest=1))
    rng = np.random.default_rng(0)
    scores = {}
    for _ in range(12):
        logits = rng.standard_normal((4, contract.blank + 1)) * rng.uniform(0.5, 4)
        log_probs = log_softmax(logits)
        acoustic = texts_by_probability(log_probs, contract)
        for text in acoustic.keys() - scores.keys():
            scores[text] = word_score(text, options)
        total = {text: log_prob + scores[text] for text, log_prob in acoustic.items()}
        ranked = sorted(total, key=total.get, reverse=True)
        transcript = decoder.decode(log_probs)
        assert [hypothesis.text for hypothesis in transcript.nbest] == ranked[:5]
        if not (with_lm and hotwords == MARKED["words with marks"]):  # see the search's docstring
            assert best_alone.decode(log_probs).text == ranked[0]
        for hypothesis in transcript.nbest:
            text = hypothesis.text
            assert hypothesis.score == pytest.approx(total[text], abs=2e-3)
            assert hypothesis.language_model_score == pytest.approx(scores[text], abs=1e-3)


@given(st.lists(st.integers(0, 4), max_size=40))
def test_width_one_without_language_model_is_greedy_on_peaky_inputs(tokens):
    log_probs = peaky(np.array(tokens, np.int32), 5)
    greedy = GreedyDecoder(SMALL, GreedyOptions(confidence=True)).decode(log_probs)
    beam = WIDTH_ONE.decode(log_probs)
    assert beam.text == " ".join(greedy.text.split())
    assert beam.words == greedy.words
    assert beam.tokens == greedy.tokens


@given(log_probs_of_small, st.floats(0, 5))
def test_words_are_those_of_the_text_with_times_that_never_go_back(log_probs, duration_s):
    greedy = GreedyDecoder(SMALL, GreedyOptions(confidence=True))
    for decoder in (PLAIN, WIDTH_ONE, greedy):
        transcript = decoder.decode(log_probs, duration_s)
        assert [word.text for word in transcript.words] == transcript.text.split()
        times = [time for word in transcript.words for time in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert all(0 <= time <= duration_s for time in times)
        assert all(0 < word.confidence <= 1 for word in transcript.words)
        token_times = [time for token in transcript.tokens for time in (token.start_s, token.end_s)]
        assert token_times == sorted(token_times)
        assert len(transcript.tokens) >= len(transcript.words)


@settings(deadline=None)
@given(log_probs_of_small, st.integers(1, 100))
def test_the_path_that_tells_the_times_is_one_that_gives_the_text(log_probs, width):
    """Tokens start one after the other, and equal ones have a blank between them."""
    transcript = BeamDecoder(SMALL, BeamOptions(beam_width=width)).decode(log_probs, 99.0)
    starts = [round(token.start_s / SMALL.frame_stride_s) for token in transcript.tokens]
    tokens = [SMALL.vocabulary.index(token.text) for token in transcript.tokens]
    for (first, start), (second, later) in pairwise(zip(tokens, starts, strict=True)):
        assert later - start >= 1 + (first == second)


@settings(deadline=None)
@given(log_probs_of_small.filter(lambda log_probs: len(log_probs) <= 12))
def test_a_wider_beam_never_finds_less(log_probs):
    [narrow] = WIDTH_ONE.decode(log_probs).nbest or [None]
    [wide] = BeamDecoder(SMALL, BeamOptions(**EXHAUSTIVE)).decode(log_probs).nbest or [None]
    if narrow:
        assert wide.acoustic_score >= narrow.acoustic_score - 1e-3


@given(log_probs_of_small)
def test_many_hypotheses_are_different_texts_best_first(log_probs):
    transcript = BeamDecoder(SMALL, BeamOptions(nbest=20)).decode(log_probs)
    texts = [hypothesis.text for hypothesis in transcript.nbest]
    scores = [hypothesis.score for hypothesis in transcript.nbest]
    assert len(set(texts)) == len(texts) <= 20
    assert scores == sorted(scores, reverse=True)
    assert texts[:1] == ([transcript.text] if len(log_probs) else [])


any_words = st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3).map(" ".join)


@settings(deadline=None)
@given(log_probs_of_small, st.sets(any_words, max_size=5), st.floats(0, 100))
def test_any_hotwords_give_a_text_whose_score_is_the_formulas(log_probs, words, weight):
    options = BeamOptions(hotwords=tuple(map(Hotword, sorted(words))), hotword_weight=weight)
    for hypothesis in BeamDecoder(SMALL, options).decode(log_probs).nbest:
        assert hypothesis.language_model_score == pytest.approx(
            word_score(hypothesis.text, options), abs=1e-6
        )
        assert hypothesis.acoustic_score <= 1e-3


@settings(deadline=None)
@given(
    log_probs_of_small, st.sampled_from([0.0, 1.0, 100.0]), st.sampled_from([-100.0, 0.0, 100.0])
)
def test_the_strangest_weights_give_finite_scores(arpa, log_probs, alpha, beta):
    options = BeamOptions(lm=arpa, alpha=alpha, beta=beta, unk_score_offset=-1000.0)
    contract = replace(CONTRACT, vocabulary=(" ", "c", "o", "t"), blank=4)
    for nbest in (1, 9):
        decoder = BeamDecoder(contract, replace(options, nbest=nbest))
        for hypothesis in decoder.decode(log_probs).nbest:
            assert math.isfinite(hypothesis.score)
            assert hypothesis.acoustic_score <= 1e-3


@given(log_probs_of_small, st.sampled_from([-1000.0, -math.inf]), st.sampled_from([1, 50]))
def test_a_beam_may_go_unpruned(log_probs, beam_prune_logp, nbest):
    options = BeamOptions(beam_width=20, beam_prune_logp=beam_prune_logp, nbest=nbest)
    scores = [each.score for each in BeamDecoder(SMALL, options).decode(log_probs).nbest]
    assert all(map(math.isfinite, scores))
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("log_probs", "text"),
    [
        (np.zeros((0, 5), np.float32), ""),
        (peaky(np.array([1]), 5), "a"),
        (peaky(np.array([4]), 5), ""),
        (peaky(np.array([4] * 500), 5), ""),
        (np.where(peaky(np.array([1, 4, 1]), 5) > -1, 0, -np.inf), "aa"),
        (np.full((50, 5), -np.inf), " " * 0),
        (np.full((3, 5), -1e30), ""),
    ],
    ids=[
        "no frames",
        "one frame",
        "a blank",
        "blanks",
        "certainty",
        "nothing possible",
        "far below",
    ],
)
def test_edges_have_a_text(log_probs, text):
    transcript = PLAIN.decode(log_probs.astype(np.float32))
    assert transcript.text == text


def test_an_hour_is_decoded_in_memory_far_below_its_log_probs():
    import tracemalloc

    rng = np.random.default_rng(0)
    tokens = rng.choice(5, 180_000, p=[0.05, 0.1, 0.1, 0.1, 0.65]).astype(np.int32)  # at 20 ms
    log_probs = peaky(tokens, 5)
    greedy = GreedyDecoder(SMALL).decode(tokens)
    tracemalloc.start()
    transcript = PLAIN.decode(log_probs, 3600.0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert transcript.text == " ".join(greedy.text.split())
    assert transcript.words[-1].end_s <= 3600
    assert most < 120e6
