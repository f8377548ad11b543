"""The first call: one recording in, its transcript out; and how results look."""

import io
import subprocess
import sys

import numpy as np
import pytest
import rich.console

import client
from client import BeamOptions, Clip, GreedyOptions, Result, Transcriber, Transcript
from client.errors import AudioError, AudioWarning, ModelNotReady
from client.transcript import Hypothesis, Word
from tests.client.support import CONTRACT, encoded, peaky, tokens_of

SAMPLES = np.zeros(1000, np.int16)
LONG = " ".join(["word"] * 1000)


def test_one_call_transcribes_one_recording(server, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(SAMPLES))
    assert client.transcribe(path, server, "demo").text == "cat"
    beam = client.transcribe((SAMPLES, 8000), server, "demo", decoder=BeamOptions(nbest=2))
    assert beam.text == "cat"
    assert beam.nbest[0].text == "cat"


def test_one_call_raises_what_is_wrong(server):
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        client.transcribe("gone.wav", server, "demo")
    with pytest.raises(ModelNotReady):
        client.transcribe(SAMPLES, server, "another")


def test_several_recordings_in_place_of_one_are_told_where_they_belong(server):
    with pytest.raises(AudioError, match=r"Transcriber\.transcribe"):
        client.transcribe(["a.wav", "b.wav"], server, "demo")


def test_a_transcriber_transcribes_one_recording_after_the_other(server):
    with Transcriber(server, "demo") as transcriber:
        assert transcriber.transcribe_one(SAMPLES).text == "cat"
        with pytest.raises(AudioError, match="too short"):
            transcriber.transcribe_one(SAMPLES[:5])
        assert transcriber.transcribe_one({"array": SAMPLES, "sampling_rate": 8000}).text == "cat"


def test_what_is_wrong_with_a_recording_that_was_transcribed_is_a_warning(server):
    with (
        Transcriber(server, "demo") as transcriber,
        pytest.warns(AudioWarning, match="truncated") as warned,
    ):
        assert transcriber.transcribe_one(encoded(SAMPLES)[:1044]).text == "cat"
    assert warned[0].filename == __file__


def test_a_result_gives_its_text_or_raises_its_error(server):
    with Transcriber(server, "demo") as transcriber:
        good, bad = transcriber.transcribe([SAMPLES, "gone.wav"])
    assert good.text == "cat"
    with pytest.raises(AudioError, match=r"gone\.wav"):
        _ = bad.text


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("decoder", [None, GreedyOptions(confidence=True), BeamOptions()], ids=str)
def test_results_have_log_probs_on_request(server, decoder, threads):
    expected = peaky(tokens_of("cat"), CONTRACT.blank + 1)
    options = {"decoder": decoder, "threads": threads}
    with Transcriber(server, "demo", log_probs=True, **options) as transcriber:
        good, bad = transcriber.transcribe([SAMPLES, "gone.wav"])
    assert good.text == "cat"
    assert good.transcript.words[0].confidence > 0.9
    assert good.log_probs.dtype == np.float32
    np.testing.assert_array_equal(good.log_probs, expected)
    assert bad.log_probs is None
    with Transcriber(server, "demo", **options) as transcriber:
        (result,) = transcriber.transcribe([SAMPLES])
    assert result.log_probs is None


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (Transcript(LONG, (Word("word", 0, 1, 0.5),) * 1000), "Transcript('word word"),
        (Hypothesis(LONG, -1.5, -2.5, ()), "score=-4.00"),
        (Result(7, 2.5, Transcript(LONG)), "Result(7, 2.50 s, Transcript('word"),
        (Result(7, error=AudioError("x" * 10_000)), "AudioError('xxx"),
        (Result(7, 2.5, Transcript("a"), log_probs=np.zeros((10_000, 1000))), "Transcript('a')"),
        (Clip(b"x" * 10**6, 0.5, 1.5), "Clip(<1,000,000 bytes>, offset_s=0.5, duration_s=1.5)"),
        (Clip("a.wav"), "Clip('a.wav'"),
        (CONTRACT, "Contract('test', 16000 Hz, 28 char tokens, fp32)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_printed_is_short(shown, says):
    assert says in repr(shown)
    assert len(repr(shown)) < 300


def test_a_transcriber_prints_its_model_and_its_server(server):
    with Transcriber(server, "demo") as transcriber:
        assert repr(transcriber) == f"<Transcriber of 'demo' at '{server}'>"


def test_notebooks_colour_words_by_confidence_and_run_nothing():
    words = (Word("<script>", 0.0, 0.5, 0.25), Word("sure", 0.5, 1.0, 1.0), Word("&", 1, 2, None))
    transcript = Transcript("<script> sure &", words)
    for html in (
        transcript._repr_html_(),
        Result(0, 2.0, transcript, warnings=("<b>",))._repr_html_(),
    ):
        assert "<script>" not in html
        assert "&lt;script&gt;" in html
        assert "hsl(30 " in html
        assert "hsl(120 " in html
        assert 'title="0.50 to 1.00 s, confidence 1.00"' in html
    assert "&lt;b&gt;" in html
    assert "(no words)" in Transcript("")._repr_html_()
    assert "&lt;gone&gt;" in Result(0, error=AudioError("<gone>"))._repr_html_()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_in_terminals_alone_and_counts_failures(server, monkeypatch, is_terminal):
    screen = io.StringIO()

    def console(*, stderr):
        assert stderr
        return console_of(file=screen, force_terminal=is_terminal, width=100)

    console_of = rich.console.Console
    monkeypatch.setattr(rich.console, "Console", console)
    with Transcriber(server, "demo") as transcriber:
        items = [SAMPLES, "gone.wav", SAMPLES]
        results = list(transcriber.transcribe(items, progress=True))
        assert [result.index for result in results] == [0, 1, 2]
        assert len(list(transcriber.transcribe(iter(items), progress=True))) == 3
    assert ("100%" in screen.getvalue()) is is_terminal
    assert ("1 failed" in screen.getvalue()) is is_terminal


def test_log_probs_do_not_come_between_results_that_are_compared():
    one, other = (Result(0, 1.0, Transcript("a"), log_probs=np.zeros((2, n))) for n in (3, 4))
    assert one == other


def test_a_result_of_nothing_is_no_text():
    with pytest.raises(client.AsrError):
        _ = Result(0).text


def test_a_warning_points_at_the_line_that_asked(server):
    with pytest.warns(AudioWarning) as warned:
        client.transcribe(encoded(SAMPLES)[:1044], server, "demo")
    assert warned[0].filename == __file__


def test_the_package_alone_leads_to_its_public_modules():
    names = "client.evaluation.evaluate, client.errors.AsrError, dir(client)"
    program = f"import client; print({names})"
    told = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert "'evaluation'" in told
