"""Where a speaker pauses a word ends, in greedy decoding and beam search alike."""

from dataclasses import replace

import numpy as np
import pytest

from client.decoding import BeamOptions, GreedyOptions, make_decoder
from tests.client.support import ARPA, CONTRACT, PIECES, peaky, tokens_of

PAUSE = 35  # frames of 20 ms
BLANK = CONTRACT.blank


def spoken(*parts):
    """Tokens of texts, ``int32 [S]``, and of pauses: their frames."""
    frames = [
        tokens_of(part)[:-1] if isinstance(part, str) else np.full(part, BLANK, np.int32)
        for part in parts
    ]
    return np.concatenate([*frames, np.zeros(0, np.int32)])


def transcripts(tokens, contract=CONTRACT, **options):
    """By every decoder: greedy of tokens and of ``log_probs``, beam search."""
    log_probs = peaky(tokens, contract.blank + 1)
    for choice in (GreedyOptions(**options), GreedyOptions(confidence=True, **options)):
        decoder = make_decoder(contract, choice)
        yield decoder.decode(tokens if decoder.output == "tokens" else log_probs)
    yield make_decoder(contract, BeamOptions(**options)).decode(log_probs)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("cat", PAUSE, "dog"), "cat dog"),
        (("cat", PAUSE - 1, "dog"), "catdog"),
        ((99, "cat", 99), "cat"),
        (("cat ", PAUSE, "dog"), "cat dog"),
        (("cat", PAUSE, " dog"), "cat dog"),
        (("cat", 99, "dog", PAUSE, "s"), "cat dog s"),
        (("don", 99, "'t"), "don't"),  # NeMo writes no space before a mark
        ((99,), ""),
        ((), ""),
    ],
)
def test_no_word_goes_on_across_a_pause(parts, text):
    tokens = spoken(*parts)
    before = tokens.copy()
    for transcript in transcripts(tokens):
        assert transcript.text == text
        assert [word.text for word in transcript.words] == text.split()
        assert all(word.confidence is None or word.confidence > 0.99 for word in transcript.words)
    np.testing.assert_array_equal(tokens, before)


def test_words_end_and_begin_at_the_pause():
    for transcript in transcripts(spoken("cat", 99, "dog")):
        cat, dog = transcript.words
        assert cat.end_s == pytest.approx(5 * 0.02)
        assert dog.start_s == pytest.approx((5 + 99) * 0.02)


@pytest.mark.parametrize("parts", [("cat", 99, "dog"), ("cat ", 99, "dog"), ("cat", 99, " s")])
def test_nemos_text_is_to_be_had_exactly(parts):
    written = "".join(part for part in parts if isinstance(part, str))
    for transcript in transcripts(spoken(*parts), exact_nemo_text=True):
        assert transcript.text == written


def test_a_search_that_would_rather_have_one_word_hears_two(tmp_path):
    """Without the space that the acoustic model doubts, the language model knows the word."""
    arpa = tmp_path / "model.arpa"
    arpa.write_text(ARPA.replace("dog", "catdog"))
    options = BeamOptions(lm=arpa, alpha=2.0)
    log_probs = peaky(spoken("cat ", 99, "dog"), BLANK + 1)
    log_probs[6, [0, BLANK]] = np.log([0.6, 0.39])
    exact = make_decoder(CONTRACT, replace(options, exact_nemo_text=True))
    assert exact.decode(log_probs).text == "catdog"
    assert make_decoder(CONTRACT, options).decode(log_probs).text == "cat dog"


def test_a_pause_has_a_frame_however_long_frames_are():
    contract = replace(CONTRACT, frame_stride_s=1e9)
    assert [each.text for each in transcripts(spoken("a", 1, "b"), contract)] == ["a b"] * 3


def test_pieces_say_themselves_where_a_word_begins():
    tokens = np.array([1, *[PIECES.blank] * 99, 3], np.int32)
    assert [each.text for each in transcripts(tokens, PIECES)] == ["cat"] * 3


@pytest.mark.parametrize("beside", ["a", "人"])
@pytest.mark.parametrize("letter", "好ねネมລ々〆〻\u3007ㄋﾈﾞ\uff13\u3099")
def test_what_is_written_without_spaces_stays_so(letter, beside):
    contract = replace(CONTRACT, vocabulary=(" ", letter, beside), blank=3)
    for tokens in ([1, *[3] * 99, 2], [2, *[3] * 99, 1]):
        written = "".join(contract.vocabulary[token] for token in tokens if token < 3)
        found = transcripts(np.array(tokens, np.int32), contract)
        assert [each.text for each in found] == [written] * 3


def test_without_a_space_in_the_vocabulary_there_is_none():
    contract = replace(CONTRACT, vocabulary=("a", "b"), blank=2)
    tokens = np.array([0, *[2] * 99, 1], np.int32)
    assert [each.text for each in transcripts(tokens, contract)] == ["ab"] * 3
