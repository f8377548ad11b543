"""A search fed in pieces: the text of the whole, a part that never changes, bounded memory.

``test_oracle`` has pieces of every size for every option; here is what it is used for.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from threading import Thread

import numpy as np
import pytest

from client.decoding import BeamDecoder, BeamOptions, GreedyDecoder, Hotword
from client.errors import DecoderError
from client.wire.top_tokens import pack
from server.processes import resident_bytes
from tests.client.support import ARPA, CONTRACT, peaky, tokens_of

N_TOKENS = CONTRACT.blank + 1
SMALL = replace(CONTRACT, vocabulary=(" ", "c", "o", "t"), blank=4)
HOUR = 180_000  # frames of 20 ms
MOST_GROWTH_BYTES = 12e6


def doubtful(n_frames, n_tokens, seed=0):
    """Acoustics with several candidates in most frames."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((n_frames, n_tokens))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    return path


@pytest.mark.parametrize("size", [1, 7, 50])
@pytest.mark.parametrize("with_lm", [True, False])
def test_pieces_make_the_transcript_of_the_whole(arpa, with_lm, size):
    options = BeamOptions(lm=arpa if with_lm else None, hotwords=(Hotword("cot"),), nbest=3)
    decoder = BeamDecoder(CONTRACT, options)
    log_probs = np.concatenate([doubtful(60, N_TOKENS), peaky(tokens_of("cat dog"), N_TOKENS)])
    search = decoder.start()
    for start in range(0, len(log_probs), size):
        search.advance(log_probs[start : start + size])
    assert search.finish(99.0) == decoder.decode(log_probs, 99.0)


def test_the_stable_part_is_never_taken_back(arpa):
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=arpa))
    for seed in range(20):
        log_probs = doubtful(120, N_TOKENS, seed)
        search, stable = decoder.start(), ""
        for frame in log_probs:
            search.advance(frame[np.newaxis])
            partial = search.partial()
            assert partial.text.startswith(partial.stable)
            assert partial.stable.startswith(stable)
            stable = partial.stable
        assert search.finish().text.startswith(stable)
        assert stable


def test_a_partial_result_says_what_was_heard_and_ends_nothing():
    decoder = BeamDecoder(CONTRACT, BeamOptions())
    log_probs = peaky(tokens_of("cat dog"), N_TOKENS)
    search = decoder.start()
    assert search.partial() == ("", "")
    search.advance(log_probs[:10])
    assert search.partial().text == "cat d"
    search.advance(log_probs[10:])
    assert search.partial().text == search.finish().text == "cat dog"


def test_a_copy_goes_on_by_itself():
    decoder = BeamDecoder(CONTRACT, BeamOptions())
    search = decoder.start()
    search.advance(peaky(tokens_of("ca"), N_TOKENS))
    copy = search.copy()
    search.advance(peaky(tokens_of("t"), N_TOKENS))
    copy.advance(peaky(tokens_of("b"), N_TOKENS))
    assert (search.finish().text, copy.finish().text) == ("cat", "cab")


def test_a_search_that_has_ended_takes_no_more():
    search = BeamDecoder(CONTRACT, BeamOptions()).start()
    search.advance(peaky(tokens_of("ca"), N_TOKENS))
    search.finish()
    for use in (search.finish, search.partial, lambda: search.advance(doubtful(1, N_TOKENS))):
        with pytest.raises(DecoderError, match="has ended"):
            use()


def test_a_search_does_not_go_on_while_another_thread_copies_it():
    """Neither of the two holds the interpreter: the copy would read what the other frees."""
    begun = BeamDecoder(CONTRACT, BeamOptions()).start()
    begun.advance(peaky(tokens_of("cat"), N_TOKENS))
    for _ in range(20):  # a long pause, all of which is copied
        begun.advance(peaky(np.full(10_000, CONTRACT.blank), N_TOKENS))
    dog = peaky(tokens_of("dog"), N_TOKENS)
    for _ in range(20):
        search, copies = begun.copy(), []

        def copy(search=search, copies=copies):
            with suppress(DecoderError):
                copies.append(search.copy())

        other = Thread(target=copy)
        other.start()
        with suppress(DecoderError):
            search.advance(dog)
        other.join()
        assert {each.finish().text for each in copies} <= {"cat", "cat dog"}


def test_a_pause_across_pieces_is_one():
    silence = peaky(np.full(40, CONTRACT.blank), N_TOKENS)
    decoder = BeamDecoder(CONTRACT, BeamOptions())
    search = decoder.start()
    for piece in (peaky(tokens_of("cat"), N_TOKENS), silence, peaky(tokens_of("dog"), N_TOKENS)):
        for frame in piece:
            search.advance(frame[np.newaxis])
    assert search.finish().text == "cat dog"


@pytest.mark.parametrize("kind", ["speech", "doubt", "silence"])
def test_an_hour_is_searched_in_bounded_memory(arpa, kind):
    decoder = BeamDecoder(SMALL, BeamOptions(lm=arpa, unk_score_offset=-1.0, beam_width=20))
    rng = np.random.default_rng(0)
    tokens = rng.choice(5, HOUR, p=[0.05, 0.1, 0.1, 0.1, 0.65]).astype(np.int32)
    if kind == "silence":
        tokens[10:-10] = SMALL.blank
    log_probs = doubtful(HOUR, 5) if kind == "doubt" else peaky(tokens, 5)
    search = decoder.start()
    pieces = np.array_split(log_probs, 360)
    for piece in pieces[:20]:
        search.advance(piece)
    before = resident_bytes()
    for piece in pieces[20:]:
        search.advance(piece)
    grown = resident_bytes() - before
    text = search.finish(3600.0).text
    assert grown < MOST_GROWTH_BYTES
    if kind != "doubt":
        assert text == " ".join(GreedyDecoder(SMALL).decode(tokens).text.split())


def test_best_tokens_make_what_all_log_probs_make(arpa):
    log_probs = doubtful(80, N_TOKENS)
    best = np.argsort(-log_probs, axis=1, kind="stable")[:, :20].astype(np.int32)
    best[~(best == CONTRACT.blank).any(axis=1), -1] = CONTRACT.blank
    top = pack(best, np.take_along_axis(log_probs, best, axis=1))
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=arpa, token_min_logp=-4.0, nbest=3))
    assert decoder.decode(top, 9.0) == decoder.decode(log_probs, 9.0)


@pytest.mark.parametrize("token", [-1, N_TOKENS])
def test_best_tokens_outside_the_vocabulary_are_refused(token):
    top = pack(np.array([[token, CONTRACT.blank]], np.int32), np.array([[-0.1, -3]], np.float32))
    with pytest.raises(DecoderError, match="outside the vocabulary"):
        BeamDecoder(CONTRACT, BeamOptions()).decode(top)


def test_threads_share_a_decoder(arpa):
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=arpa, nbest=2))
    outputs = [doubtful(50, N_TOKENS, seed) for seed in range(60)]
    expected = [decoder.decode(each) for each in outputs]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(decoder.decode, outputs)) == expected
