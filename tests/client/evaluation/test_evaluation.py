"""Evaluations from acoustics to figures: what fails where, what is kept, and how it is shown."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from client.audio import AudioOptions
from client.decoding import BeamOptions, GreedyOptions
from client.errors import DecoderError, ServerError
from client.evaluation.acoustics import AcousticModel, AcousticOptions
from client.evaluation.evaluator import EvaluationOptions, Evaluator
from client.evaluation.result import System
from client.evaluation.serialization import as_json
from client.evaluation.text import print_evaluation
from client.manifests.manifest import read_manifest, with_text
from client.segmentation import SegmentationOptions
from tests.client.evaluation.tuning.support import Server, log_probs_of, write_arpa, write_wav
from tests.client.support import CONTRACT, peaky

GREEDY = System("greedy", "demo", GreedyOptions(confidence=True))
SAID = ["cat", "cot", "cat cat", "dog"]


def heard(samples):
    """What the server hears is told by the recording's length."""
    return log_probs_of(SAID[len(samples) // 1000 - 1], "cut", belief=0.9)


@pytest.fixture
def manifest(tmp_path):
    """Four recordings and their references, and one that is not there."""
    lines = []
    for number, text in enumerate(["cat", "cat", "cat cat", "dog"], start=1):
        write_wav(tmp_path / f"{number}.wav", number * 1000)
        lines.append({"audio_filepath": f"{number}.wav", "text": text})
    lines.insert(2, {"audio_filepath": "gone.wav", "text": "cat"})
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def evaluate(manifest, systems, models, **options):
    """The evaluation, and each failure as it was told."""
    told = []

    def on_progress(progress):
        if progress.result.error:
            told.append((progress.entry.name, str(progress.result.error)))

    entries = list(with_text(read_manifest(manifest)))
    options = EvaluationOptions(**options)
    evaluator = Evaluator(manifest, entries, systems, models, options, lambda _: None)
    return evaluator.run(on_progress), told


def model(folder, server=None, **options):
    return AcousticModel(server or Server(heard), folder / "outputs", AcousticOptions(**options))


def shown(evaluation, width=100, most=20):
    stream = io.StringIO()
    print_evaluation(evaluation, most, Console(file=stream, width=width, highlight=False))
    return stream.getvalue()


def test_systems_are_compared_on_what_all_could_transcribe(manifest, tmp_path):
    lm = write_arpa(tmp_path)
    systems = [GREEDY, System("beam", "demo", BeamOptions(lm, alpha=8.0))]
    server = Server(heard)
    evaluation, told = evaluate(manifest, systems, {"demo": model(tmp_path, server)})
    assert len(server.asked) == 4  # for both systems
    assert [each.line for each in evaluation.utterances] == [1, 2, 4, 5]
    (failure,) = evaluation.failures
    assert (failure.line, failure.name) == (3, "gone.wav")
    assert [(failure.name, failure.error)] == told
    assert [each.words.errors for each in evaluation.scores] == [1, 2]
    assert evaluation.scores[0].words.reference == 5
    assert evaluation.audio_s == pytest.approx(10_000 / 16_000)
    assert evaluation.acoustic_s["demo"] > 0
    assert all(each.decoding_s > 0 for each in evaluation.scores)
    (difference,) = evaluation.differences
    assert (difference.baseline, difference.wer, difference.p_value) == ("greedy", 1 / 5, 1)


def test_the_loss_is_that_of_the_reference(manifest, tmp_path):
    evaluation, _ = evaluate(manifest, [GREEDY], {"demo": model(tmp_path)})
    right, wrong, *_ = (each.ctc_loss["demo"] for each in evaluation.utterances)
    assert right < 1 < wrong


def test_a_reference_that_cannot_be_written_has_no_loss(manifest, tmp_path):
    manifest.write_text(manifest.read_text().replace('"dog"', '"DOG!"'))
    evaluation, _ = evaluate(manifest, [GREEDY], {"demo": model(tmp_path)})
    assert [bool(each.ctc_loss) for each in evaluation.utterances] == [True, True, True, False]
    steps = ("lower", "punctuation")
    evaluation, _ = evaluate(manifest, [GREEDY], {"demo": model(tmp_path)}, normalization=steps)
    assert evaluation.utterances[-1].reference == "dog"
    assert evaluation.utterances[-1].ctc_loss
    assert evaluation.scores[0].words.errors == 1
    assert "normalisation of both texts: lower, punctuation" in shown(evaluation)


def test_normalisation_is_of_hypotheses_too(manifest, tmp_path):
    manifest.write_text(manifest.read_text().replace('"dog"', '"don\'t"'))
    server = Server(lambda samples: log_probs_of("dont" if len(samples) == 4000 else "cat"))
    for steps, errors in (((), 1 + 1), (("apostrophes",), 1)):
        acoustic = {"demo": model(tmp_path, server)}
        evaluation, _ = evaluate(manifest, [GREEDY], acoustic, normalization=steps)
        assert evaluation.scores[0].words.errors == errors


def test_outputs_that_are_there_are_not_asked_for_again(manifest, tmp_path):
    first, _ = evaluate(manifest, [GREEDY], {"demo": model(tmp_path)})
    server = Server(heard)
    again, _ = evaluate(manifest, [GREEDY], {"demo": model(tmp_path, server)})
    assert server.asked == []
    assert again.utterances == first.utterances
    assert (again.audio_s, again.acoustic_s) == (first.audio_s, {"demo": 0.0})
    assert "outputs were kept" in shown(again)
    assert as_json(again)["models"]["demo"]["acoustic_rtfx"] is None
    write_wav(tmp_path / "1.wav", 3000)
    evaluate(manifest, [GREEDY], {"demo": model(tmp_path, server)})
    assert [length for length, _ in server.asked] == [3000]


@pytest.mark.parametrize(
    "options",
    [{"audio": AudioOptions(channel=1)}, {"segmentation": SegmentationOptions("window", 1.5, 0.5)}],
)
def test_outputs_of_recordings_read_otherwise_are_others(manifest, tmp_path, options):
    evaluate(manifest, [GREEDY], {"demo": model(tmp_path)})
    server = Server(heard)
    evaluate(manifest, [GREEDY], {"demo": model(tmp_path, server, **options)})
    assert len(server.asked) == 4


def test_long_recordings_are_stitched_and_have_no_loss(tmp_path):
    """Two windows, of which each is heard as its own samples' number of frames."""
    n_samples = CONTRACT.max_samples + 8000
    write_wav(tmp_path / "long.wav", n_samples)
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"audio_filepath": "long.wav", "text": "a"}))

    def frames(samples):
        return peaky(np.full(len(samples) // 320, CONTRACT.blank), CONTRACT.blank + 1)

    evaluation, told = evaluate(manifest, [GREEDY], {"demo": model(tmp_path, Server(frames))})
    assert told == []
    (utterance,) = evaluation.utterances
    assert utterance.duration_s == n_samples / 16000
    assert utterance.ctc_loss == {}


def test_a_failing_server_fails_the_recording_alone(manifest, tmp_path):
    def answer(samples):
        if len(samples) == 2000:
            raise ServerError("it broke")
        return heard(samples)

    evaluation, told = evaluate(manifest, [GREEDY], {"demo": model(tmp_path, Server(answer))})
    assert told[0] == ("2.wav", "it broke")
    assert [each.line for each in evaluation.failures] == [2, 3]
    assert evaluation.scores[0].words.errors == 0


def test_what_one_model_cannot_take_is_in_no_systems_figures(manifest, tmp_path):
    def refuse(samples):
        if len(samples) == 1000:
            raise ServerError("no")
        return log_probs_of("dog")

    models = {"demo": model(tmp_path), "other": model(tmp_path / "other", Server(refuse))}
    systems = [GREEDY, System("other", "other", GREEDY.decoder)]
    evaluation, told = evaluate(manifest, systems, models)
    assert ("1.wav", "other: no") in told
    assert [each.line for each in evaluation.utterances] == [2, 4, 5]
    assert [each.words.reference for each in evaluation.scores] == [4, 4]
    assert set(evaluation.utterances[0].ctc_loss) == {"demo", "other"}
    text = shown(evaluation)
    assert "greedy (demo)" in text
    assert "acoustic model other: " in text


def test_bad_log_probs_are_that_recordings_failure(manifest, tmp_path):
    server = Server(lambda samples: heard(samples)[:, : 5 if len(samples) == 1000 else None])
    _, told = evaluate(manifest, [GREEDY], {"demo": model(tmp_path, server)})
    assert told[0][0] == "1.wav"
    assert "expected [frames, 29]" in told[0][1]


def test_a_bad_language_model_is_told_before_anything_is_heard(manifest, tmp_path):
    server = Server(heard)
    bad = System("bad", "demo", BeamOptions(tmp_path / "gone.arpa"))
    with pytest.raises(DecoderError, match=r"gone\.arpa"):
        evaluate(manifest, [GREEDY, bad], {"demo": model(tmp_path, server)})
    assert server.asked == []


def test_threads_decode_the_same(manifest, tmp_path):
    systems = [GREEDY, System("beam", "demo", BeamOptions(write_arpa(tmp_path)))]
    evaluations = [
        evaluate(manifest, systems, {"demo": model(tmp_path)}, threads=threads)[0]
        for threads in (0, 2)
    ]
    texts = [
        [recognized.text for each in evaluation.utterances for recognized in each.recognized]
        for evaluation in evaluations
    ]
    assert texts[0] == texts[1]
    assert all(each.decoding_s > 0 for each in evaluations[1].scores)


def test_machines_are_told_all_of_it(manifest, tmp_path):
    beam = System("beam", "demo", BeamOptions(write_arpa(tmp_path), alpha=2.0))
    evaluation, _ = evaluate(manifest, [GREEDY, beam], {"demo": model(tmp_path)})
    report = json.loads(json.dumps(as_json(evaluation), allow_nan=False))
    assert "wer" not in report  # of which system?
    first, second = report["systems"]
    assert first["wer"] == evaluation.scores[0].words.rate
    assert first["wer_interval"][0] <= first["wer"] <= first["wer_interval"][1]
    assert (first["name"], second["decoder"], second["options"]["alpha"]) == ("greedy", "beam", 2)
    assert second["options"]["lm"].endswith("lm.arpa")
    assert report["differences"][0]["p_value"] == evaluation.differences[0].p_value
    assert [each["reference"] for each in report["results"]] == ["cat", "cat", "cat cat", "dog"]
    assert report["results"][1]["recognized"]["greedy"]["text"] == "cot"
    assert report["models"]["demo"]["checkpoint_sha256"] == CONTRACT.checkpoint_sha256


def test_an_infinite_loss_is_null_for_machines_and_named_for_people(manifest, tmp_path):
    manifest.write_text(manifest.read_text().replace('"dog"', f'"{"dog " * 50}"'))
    evaluation, _ = evaluate(manifest, [GREEDY], {"demo": model(tmp_path)})
    report = json.loads(json.dumps(as_json(evaluation), allow_nan=False))
    assert report["results"][-1]["ctc_loss"] == {"demo": None}
    assert report["models"]["demo"]["ctc_loss"] < 10
    assert "4.wav  [CTC loss infinite]" in shown(evaluation)


def test_people_see_texts_word_above_word(manifest, tmp_path):
    manifest.write_text(manifest.read_text().replace('"cat cat"', '"big cat"'))
    text = shown(evaluate(manifest, [GREEDY], {"demo": model(tmp_path)})[0])
    assert "  reference  cat\n  greedy     [cot]\n" in text
    assert "  reference  big   cat\n  greedy     [cat] cat\n" in text
    assert "failed: gone.wav: " in text
    assert "4 utterances, 1 failed; 5 words" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_long_texts_stay_under_each_other_in_narrow_terminals(manifest, tmp_path, width):
    manifest.write_text(manifest.read_text().replace('"dog"', f'"{"cat " * 40}"'))
    systems = [GREEDY, System("a [second] one", "demo", GreedyOptions(confidence=True))]
    text = shown(evaluate(manifest, systems, {"demo": model(tmp_path)})[0], width)
    assert "a [second] one" in text
    listing = text[text.index("\n4.wav") :].splitlines()[2:]
    assert all(len(line) <= width for line in listing)
    pieces = [listing[start : start + 3] for start in range(0, len(listing), 3)]
    assert len(pieces) > 1
    names = [[line[:16].strip() for line in piece] for piece in pieces]
    assert names == [["reference", "greedy", "a [second] one"]] * len(pieces)
    words = [piece[0][16:].split() for piece in pieces]
    assert sum(map(len, words)) == 40


def test_without_utterances_there_are_no_figures(manifest, tmp_path):
    for path in tmp_path.glob("*.wav"):
        path.unlink()
    evaluation, _ = evaluate(manifest, [GREEDY], {"demo": model(tmp_path)})
    assert (evaluation.scores, evaluation.differences) == ((), ())
    assert "0 utterances, 5 failed" in shown(evaluation)
    assert "3 more failed utterances" in shown(evaluation, most=2)
    assert as_json(evaluation)["wer"] is None
