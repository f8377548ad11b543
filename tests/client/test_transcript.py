"""Transcripts of segments joined to that of their recording."""

import pytest

from client.transcript import Hypothesis, Segment, Token, Transcript, Word, joined


def heard(text, start_s=0.1):
    """The transcript of a segment, whose words and tokens last a second each."""
    words = tuple(
        Word(word, start_s + at, start_s + at + 1, 0.5) for at, word in enumerate(text.split())
    )
    tokens = tuple(Token(*word[:3]) for word in words)
    return Transcript(text, words, tokens, (Hypothesis(text, -1.0, -2.0, words),))


def test_the_transcript_of_no_segment_is_empty():
    assert joined([]) == Transcript("", segments=())


def test_everything_moves_to_its_place_in_the_recording():
    transcript = joined(
        [(Segment("", 10.0, 13.0), heard("a cat")), (Segment("", 20.0, 22.0), heard("sat"))]
    )
    assert transcript.text == "a cat sat"
    words = [(each.text, each.start_s, each.end_s, each.confidence) for each in transcript.words]
    assert words == [("a", 10.1, 11.1, 0.5), ("cat", 11.1, 12.1, 0.5), ("sat", 20.1, 21.1, 0.5)]
    assert [tuple(token) for token in transcript.tokens] == [word[:3] for word in words]
    assert transcript.nbest == ()
    first, second = transcript.segments
    assert (first.text, first.start_s, first.end_s) == ("a cat", 10.0, 13.0)
    assert first.words + second.words == transcript.words
    for segment in (first, second):
        (hypothesis,) = segment.nbest
        assert hypothesis.words == segment.words
        assert (hypothesis.text, hypothesis.score) == (segment.text, -3.0)


def test_what_came_in_is_left_as_it_was():
    segment, transcript = Segment("", 10.0, 13.0), heard("cat")
    joined([(segment, transcript)])
    assert segment == Segment("", 10.0, 13.0)
    assert transcript == heard("cat")


@pytest.mark.parametrize(
    ("places", "order"),
    [
        ([(2, 3, None), (0, 1, None)], [1, 0]),
        ([(0, 9, None), (1, 2, None)], [0, 1]),
        ([(0, 3, None), (0, 2, None)], [1, 0]),
        ([(0, 1, 2), (0, 3, 1)], [1, 0]),
        ([(0, 1, 1), (0, 3, None)], [1, 0]),
        ([(1, 2, 1), (0, 3, 2), (2, 3, 2)], [1, 0, 2]),
        ([(0, 1, None), (0, 1, None)], [0, 1]),
    ],
)
def test_segments_are_in_the_order_of_their_starts_channels_and_ends(places, order):
    parts = [
        (Segment("", start, end, channel=channel), heard(f"word{at}"))
        for at, (start, end, channel) in enumerate(places)
    ]
    transcript = joined(parts)
    assert transcript.text == " ".join(f"word{at}" for at in order)
    assert [each.text for each in transcript.segments] == transcript.text.split()
    assert [each.text for each in transcript.words] == transcript.text.split()
    assert [each.channel for each in transcript.segments] == [places[at][2] for at in order]


def test_whose_speech_it_is_and_its_outputs_stay():
    outputs = object()
    segment = Segment("", 1.0, 2.0, channel=2, speaker="Ann", log_probs=outputs)
    (found,) = joined([(segment, heard("cat"))]).segments
    assert (found.channel, found.speaker, found.text) == (2, "Ann", "cat")
    assert found.log_probs is outputs


def test_segments_without_words_stay_and_add_no_space():
    parts = [
        (Segment("", at, at + 1), heard(text)) for at, text in enumerate(["a ", "", " ", " b"])
    ]
    transcript = joined(parts)
    assert transcript.text == "a b"
    assert [each.text for each in transcript.segments] == ["a", "", "", "b"]


@pytest.mark.parametrize(
    ("segment", "shown"),
    [
        (Segment("cat", 1, 2.5), "Segment(1.00 to 2.50 s, 'cat')"),
        (Segment("cat", 1, 2, channel=2), "Segment(1.00 to 2.00 s, 2, 'cat')"),
        (Segment("cat", 1, 2, channel=2, speaker="Ann"), "Segment(1.00 to 2.00 s, Ann, 'cat')"),
    ],
)
def test_a_segment_is_shown_with_its_times_and_whose_it_is(segment, shown):
    assert repr(segment) == shown
