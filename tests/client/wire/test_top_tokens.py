"""Best tokens in place of all log-probabilities: the same text, in smaller replies."""

import threading
from dataclasses import replace
from functools import partial

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client import BeamOptions, Transcriber
from client.decoding import BeamDecoder
from client.errors import DeadlineExceeded, DecoderError, ServerError
from client.segmentation import SegmentationOptions
from client.wire.contract import LOG_PROBS
from client.wire.failure_policy import FailurePolicy
from client.wire.top_tokens import (
    ABSENT_LOG_PROB,
    TOP,
    BestTokens,
    beam_output,
    dense,
    is_complete,
    is_top,
    pack,
)
from client.wire.transport import TransportOptions, TritonTransport
from tests.client.support import CONTRACT, best_of, peaky, scored_reply, scripted_server, tokens_of

SAMPLES = np.zeros(1000, np.int16)
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz' ABCDEFGHIJKL")
SERVED = replace(CONTRACT, vocabulary=LETTERS, blank=len(LETTERS), top_k=16)
N_TOKENS = SERVED.blank + 1
BLANK, LEAST = SERVED.blank, -5.0
WANTED = BestTokens(BLANK, LEAST)
NARROW = BeamOptions(beam_width=5)


def scores(seed, n_frames, width):
    """Frames of which some have many likely tokens; ``float32 [S, V]``."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((n_frames, N_TOKENS)) * rng.choice([1, width], (n_frames, 1))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


CLEAR = peaky(tokens_of("cat"), N_TOKENS)
VAGUE = np.full((6, N_TOKENS), -np.log(N_TOKENS), np.float32)
VAGUE[:, 0] += np.float32(0.1)


class Asked:
    """A model of ``log_probs`` for all audio, and what it was asked for."""

    def __init__(self, log_probs, k=16):
        self.log_probs, self.k = log_probs, k
        self.outputs = []

    def __call__(self, request, _context):
        """Answer with what was asked for."""
        self.outputs.append([output.name for output in request.outputs])
        return scored_reply(self.log_probs, request, self.k)


BEST = ["top_tokens", "top_log_probs", "log_probs_length"]
ALL = ["log_probs", "log_probs_length"]
served = partial(scripted_server, contract_json=SERVED.to_json())


def submit(url, output=WANTED, **options):
    transport = TritonTransport(url, "demo", TransportOptions(**options))
    try:
        return transport.submit(SAMPLES, output).result(timeout=10)
    finally:
        transport.close()


@given(
    st.integers(0, 10**6),
    st.integers(1, 30),
    st.sampled_from([3, 6, 9]),
    st.sampled_from([-3.0, -3.5, -5.0]),
)
def test_best_tokens_are_complete_where_no_likely_token_is_absent(seed, n_frames, width, least):
    log_probs = scores(seed, n_frames, width)
    top = pack(*best_of(log_probs, 16))
    likely = log_probs >= least
    likely[:, BLANK] = False
    there = dense(top, N_TOKENS) >= least
    there[:, BLANK] = False
    if is_complete(top, BLANK, least):
        np.testing.assert_array_equal(there, likely)
    else:  # some frame has as many likely tokens as there are places
        assert (there.sum(axis=1) >= 15).any()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(0, 30), st.sampled_from([6, 9]))
def test_complete_best_tokens_decode_as_all_log_probs_do(seed, n_frames, width):
    log_probs = scores(seed, n_frames, width)
    top = pack(*best_of(log_probs, 16))
    least = -3.0  # few pass, so that most are complete
    decoder = BeamDecoder(SERVED, BeamOptions(nbest=5, beam_width=20, token_min_logp=least))
    if is_complete(top, BLANK, least):
        assert decoder.decode(top) == decoder.decode(log_probs)


@pytest.mark.parametrize(("least", "complete"), [(LEAST, False), (np.nextafter(LEAST, -9), True)])
def test_a_last_token_on_the_threshold_may_have_others_beside_it(least, complete):
    log_probs = np.linspace(-1, least, 15, dtype=np.float64)
    tokens = np.arange(16)
    tokens[-1] = BLANK
    top = pack(tokens[None], np.append(log_probs, -9)[None])
    if complete:
        top["log_prob"][0, -2] = np.nextafter(np.float32(LEAST), np.float32(-9))
    assert is_complete(top, BLANK, LEAST) == complete


def test_the_blank_does_not_tell_of_other_tokens():
    tokens = np.arange(16)[None]
    tokens[0, 0] = BLANK
    assert not is_complete(pack(tokens, np.full((1, 16), -2.0)), BLANK, LEAST)
    values = np.full((1, 16), -6.0)
    values[0, 0] = -0.01
    assert is_complete(pack(tokens, values), BLANK, LEAST)


def test_values_that_are_no_numbers_are_never_complete():
    assert not is_complete(pack(np.arange(16)[None], np.full((1, 16), np.nan)), BLANK, LEAST)


def test_no_frames_are_complete():
    empty = np.zeros((0, 16), TOP)
    assert is_complete(empty, BLANK, LEAST)
    assert dense(empty, N_TOKENS).shape == (0, N_TOKENS)


def test_absent_tokens_are_less_likely_than_any_threshold():
    top = pack(*best_of(CLEAR, 16))
    found = dense(top, N_TOKENS)
    np.testing.assert_array_equal(found.argmax(axis=1), CLEAR.argmax(axis=1))
    assert (found == ABSENT_LOG_PROB).sum() == len(CLEAR) * (N_TOKENS - 16)


@pytest.mark.parametrize("token", [-1, N_TOKENS])
def test_best_tokens_of_another_vocabulary_are_an_error(token):
    top = pack(*best_of(CLEAR, 16))
    top["token"][2, 5] = token
    with pytest.raises(DecoderError, match="export the model and its contract together"):
        BeamDecoder(SERVED, BeamOptions()).decode(top)


def test_models_without_best_tokens_are_asked_for_log_probs():
    assert beam_output(CONTRACT, LEAST) == LOG_PROBS
    assert BeamDecoder(CONTRACT, BeamOptions()).output == LOG_PROBS
    assert BeamDecoder(SERVED, BeamOptions(token_min_logp=-7.0)).output == BestTokens(BLANK, -7.0)


def test_a_clear_utterance_takes_one_small_reply():
    model = Asked(CLEAR)
    with served(model) as url:
        top = submit(url)
    assert model.outputs == [BEST]
    assert top.dtype == TOP
    np.testing.assert_array_equal(top, pack(*best_of(CLEAR, 16)))  # without the batch's padding


def test_a_vague_one_is_asked_for_once_more():
    model, exchanges = Asked(VAGUE), []
    with served(model) as url:
        np.testing.assert_array_equal(submit(url, observer=exchanges.append), VAGUE)
    assert model.outputs == [BEST, ALL]
    assert [exchange.request for exchange in exchanges] == [0, 0]


def test_a_second_of_audio_takes_at_most_two_kilobytes():
    """Of a model with 1,025 tokens at 12.5 frames a second; all log_probs take 51."""
    frames = peaky(np.zeros(13, np.int32), 1025)
    vocabulary = tuple(map(str, range(1024)))
    contract = replace(SERVED, vocabulary=vocabulary, blank=1024, frame_stride_s=0.08)
    exchanges = []

    def model(request, _):
        return scored_reply(frames, request, padding=0)

    with scripted_server(model, contract.to_json()) as url:
        submit(url, BestTokens(1024, LEAST), observer=exchanges.append)
        submit(url, LOG_PROBS, observer=exchanges.append)
    small, all_log_probs = (exchange.reply_bytes for exchange in exchanges)
    assert small <= 2000
    assert all_log_probs > 51_000


def test_the_second_exchange_is_retried_as_any_request():
    model, failures = Asked(VAGUE), iter([True])

    def infer(request, context):
        if request.outputs[0].name == LOG_PROBS and next(failures, False):
            context.abort(grpc.StatusCode.UNAVAILABLE, "the queue is full")
        return model(request, context)

    with served(infer) as url:
        np.testing.assert_array_equal(submit(url), VAGUE)


def test_its_error_is_the_requests():
    model = Asked(VAGUE)

    def infer(request, context):
        if request.outputs[0].name == LOG_PROBS:
            context.abort(grpc.StatusCode.INTERNAL, "the graph failed")
        return model(request, context)

    with served(infer) as url, pytest.raises(ServerError, match="the graph failed") as raised:
        submit(url, failures=FailurePolicy(retries=False))
    assert raised.value.tries == 1


def test_the_deadline_covers_both_exchanges():
    model, over = Asked(VAGUE), threading.Event()

    def infer(request, context):
        if request.outputs[0].name == LOG_PROBS:
            over.wait(10)
        return model(request, context)

    with served(infer) as url:
        with pytest.raises(DeadlineExceeded, match=r"0\.5 s"):
            submit(url, timeout_s=0.5)
        over.set()


def test_closing_fails_a_request_that_is_asked_for_again():
    model, asked, over = Asked(VAGUE), threading.Event(), threading.Event()

    def infer(request, context):
        if request.outputs[0].name == LOG_PROBS:
            asked.set()
            over.wait(10)
        return model(request, context)

    with served(infer) as url:
        transport = TritonTransport(url, "demo")
        reply = transport.submit(SAMPLES, WANTED)
        assert asked.wait(10)
        transport.close()
        with pytest.raises(ServerError):
            reply.result(timeout=10)
        over.set()


def test_outputs_of_different_shapes_are_an_error():
    def infer(request, _):
        reply, other = scored_reply(CLEAR, request, 16), scored_reply(CLEAR, request, 15)
        index = [output.name for output in reply.outputs].index("top_tokens")
        reply.outputs[index].CopyFrom(other.outputs[index])
        reply.raw_output_contents[index] = other.raw_output_contents[index]
        return reply

    with served(infer) as url, pytest.raises(ServerError, match="shapes differ"):
        submit(url)


def test_vague_replies_in_a_row_end_the_small_ones():
    model = Asked(VAGUE)
    with served(model) as url:
        transport = TritonTransport(url, "demo")
        for _ in range(12):
            np.testing.assert_array_equal(transport.submit(SAMPLES, WANTED).result(10), VAGUE)
        transport.close()
    assert model.outputs == [BEST, ALL] * 8 + [ALL] * 4


def test_a_clear_reply_between_them_does_not():
    model = Asked(VAGUE)
    with served(model) as url:
        transport = TritonTransport(url, "demo")
        for number in range(24):
            model.log_probs = CLEAR if number % 6 == 5 else VAGUE
            transport.submit(SAMPLES, WANTED).result(10)
        transport.close()
    assert model.outputs == ([BEST, ALL] * 5 + [BEST]) * 4


def by_loudness(request, _context):
    """Clear for silence, vague for the rest; two frames for each 640 samples."""
    samples = np.frombuffer(request.raw_input_contents[0], np.int16)
    n_frames = len(samples) // 320
    clear = peaky(np.resize(tokens_of("cat "), n_frames), N_TOKENS)
    return scored_reply(np.resize(VAGUE, clear.shape) if samples.any() else clear, request)


@pytest.mark.parametrize(("most", "threads"), [(1, 0), (3, 1), (16, 0)])
def test_results_keep_their_order_however_many_are_asked_for_twice(most, threads):
    loud = [number % 3 != 0 for number in range(20)]
    items = [np.full(6400, value, np.int16) for value in loud]
    options = TransportOptions(max_in_flight=most)
    with served(by_loudness) as url:
        with Transcriber(
            url, "demo", decoder=NARROW, threads=threads, options=options
        ) as transcriber:
            found = [result.unwrap().text for result in transcriber.transcribe(items)]
        with Transcriber(url, "demo", decoder=NARROW, log_probs=True) as transcriber:
            results = list(transcriber.transcribe(items))
    assert found == [result.unwrap().text for result in results]
    assert len(set(found)) == 2
    assert all(result.log_probs.shape == (20, N_TOKENS) for result in results)


@pytest.mark.parametrize("loud", [(), (0,), (2,), (0, 1, 2, 3)], ids=str)
def test_windows_are_stitched_where_some_were_asked_for_twice(loud):
    samples = np.zeros(4 * 16000, np.int16)
    for second in loud:
        samples[second * 16000 + 4000 : second * 16000 + 12000] = 1
    cut = SegmentationOptions(window_s=1.5, overlap_s=0.5)
    found = []
    with served(by_loudness) as url:
        for keep in (False, True):
            with Transcriber(
                url, "demo", decoder=NARROW, segmentation=cut, log_probs=keep
            ) as transcriber:
                (result,) = transcriber.transcribe([samples])
                found.append(result)
    small, everything = found
    assert small.unwrap() == everything.unwrap()
    assert everything.log_probs.shape == (200, N_TOKENS)
    assert not is_top(everything.log_probs)
