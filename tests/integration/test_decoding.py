"""Decoding through a real server: presets, threads, hypotheses, hotwords, words with times."""

import json

import pytest
import soundfile

from benchmarks.recordings.sessions import Joining, join, load_utterances
from client import BeamOptions, Hotword, Transcriber
from client.__main__ import main
from client.decoding.preset import Preset, read_preset, write_preset
from client.manifests.manifest import read_manifest
from demo.paths import DEMO

CLIPS = DEMO / "clips" / "manifest.jsonl"
PRESET = DEMO / "beam.json"


def transcribe(server_url, capsys, *arguments):
    command = ["transcribe", "--url", server_url, "--model", "demo", "--manifest", str(CLIPS)]
    status = main([*command, "--format", "jsonl", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


@pytest.fixture(scope="module")
def results(server_url):
    """The clips as the demo's preset decodes them."""
    with Transcriber(server_url, "demo", decoder=read_preset(PRESET).beam) as transcriber:
        return list(transcriber.transcribe(entry.item for entry in read_manifest(CLIPS)))


def test_processes_decode_as_the_caller_would(server_url, results):
    options = read_preset(PRESET).beam
    with Transcriber(server_url, "demo", decoder=options, threads=2) as transcriber:
        items = [entry.item for entry in read_manifest(CLIPS)]
        items.insert(3, b"no audio")
        found = list(transcriber.transcribe(items))
    assert [result.index for result in found] == list(range(len(items)))
    assert found.pop(3).error is not None
    for ours, expected in zip(found, results, strict=True):
        assert ours.transcript.text == expected.transcript.text
        assert ours.transcript.tokens == expected.transcript.tokens
        # To float rounding: the requests met in other batches.
        [hypothesis], [other] = ours.transcript.nbest, expected.transcript.nbest
        assert hypothesis.score == pytest.approx(other.score, abs=1e-3)


@pytest.mark.parametrize("decoder", [(), ("--decoder-config", PRESET)], ids=["greedy", "beam"])
def test_json_lines_hold_words_within_the_audio(server_url, capsys, decoder):
    status, lines, _ = transcribe(server_url, capsys, *decoder)
    assert status == 0
    for line in lines:
        assert [word["word"] for word in line["words"]] == line["pred_text"].split()
        times = [time for word in line["words"] for time in (word["start"], word["end"])]
        assert times == sorted(times)
        assert 0 <= times[0] <= times[-1] <= line["duration"]
        assert all(0 < word["confidence"] <= 1 for word in line["words"])
        assert len(line.get("nbest", [])) == len(decoder) // 2


@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_nemos_exact_text_is_an_option_of_the_command(server_url, capsys, tmp_path, decoder):
    session = join(load_utterances(CLIPS, 16000)[:4], Joining(16000, (1.5, 1.5)))
    path = tmp_path / "joined.wav"
    soundfile.write(path, session.samples, 16000)
    command = ["transcribe", "--url", server_url, "--model", "demo", "--decoder", decoder]
    texts = []
    for more in ([], ["--exact-nemo-text"]):
        assert main([*command, str(path), *more]) == 0
        texts.append(capsys.readouterr().out.strip().split("\t")[1])
    marked, exact = (len(text.split()) for text in texts)
    assert marked > exact


def test_other_hypotheses_come_when_asked_for(server_url, capsys):
    _, lines, _ = transcribe(server_url, capsys, "--decoder-config", PRESET, "--nbest", 5)
    assert max(len(line["nbest"]) for line in lines) == 5
    for line in lines:
        assert line["nbest"][0]["text"] == line["pred_text"]
        for hypothesis in line["nbest"]:
            parts = hypothesis["acoustic_score"] + hypothesis["language_model_score"]
            assert hypothesis["score"] == pytest.approx(parts, abs=1e-3)


def heard(lines):
    return " ".join(line["pred_text"] for line in lines).split()


def test_a_hotword_is_heard_where_greedy_decoding_drops_a_letter(server_url, capsys):
    _, lines, _ = transcribe(server_url, capsys, "--decoder", "beam")
    assert "eghty" in heard(lines)
    _, lines, _ = transcribe(server_url, capsys, "--decoder", "beam", "--hotword", "eighty")
    assert heard(lines).count("eighty") > 0
    assert "eghty" not in heard(lines)


def test_options_take_the_place_of_the_presets(server_url, capsys, tmp_path):
    preset = tmp_path / "preset.json"
    write_preset(preset, Preset(BeamOptions(hotwords=(Hotword("eighty"),))))
    _, lines, _ = transcribe(server_url, capsys, "--decoder-config", preset)
    assert "eighty" in heard(lines)
    other = ("--hotword", "erase", "--nbest", 2)
    _, lines, _ = transcribe(server_url, capsys, "--decoder-config", preset, *other)
    assert "eghty" in heard(lines)


def test_a_preset_of_another_checkpoint_is_warned_of(server_url, capsys, tmp_path):
    preset = tmp_path / "preset.json"
    write_preset(preset, Preset(BeamOptions(), checkpoint_sha256="0" * 64))
    status, _, err = transcribe(server_url, capsys, "--decoder-config", preset)
    assert status == 0
    assert "another checkpoint" in err


def test_another_language_model_than_the_presets_is_warned_of(server_url, capsys, tmp_path):
    other = tmp_path / "other.arpa.gz"
    other.write_bytes((DEMO / "lm.arpa.gz").read_bytes())
    _, _, err = transcribe(server_url, capsys, "--decoder-config", PRESET, "--lm", other)
    assert "another language model" in err
    options = ("--lm", other, "--alpha", "0.5", "--beta", "2")
    _, _, err = transcribe(server_url, capsys, "--decoder-config", PRESET, *options)
    assert "another language model" not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--alpha", "1"], "needs --decoder beam"),
        (["--decoder", "greedy", "--decoder-config", str(PRESET), "--nbest", "2"], "needs"),
        (["--threads", "2"], "--threads: needs --decoder beam"),
        (["--decoder", "beam", "--alpha", "1"], "which --lm FILE names"),
        (["--decoder", "beam", "--unk-score-offset", "-1"], "which --lm FILE names"),
        (["--decoder", "beam", "--nbest", "2"], "--format jsonl"),
        (["--decoder", "beam", "--hotword-weight", "1"], "needs hotwords, --hotword WORD"),
        (["--decoder", "beam", "--hotword", "word=much"], "expected a number as the weight"),
        (["--decoder", "beam", "--threads", "-1"], "expected a whole number of at least 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_options_without_what_they_are_for_are_wrong_usage(capsys, arguments, says):
    with pytest.raises(SystemExit) as caught:
        main(["transcribe", "--model", "demo", "a.wav", *arguments])
    assert caught.value.code == 2
    assert says in capsys.readouterr().err
