"""``manifest`` on the command line: what it writes, says and returns, and that it transcribes."""

import json
import shutil

import pytest

from client.__main__ import main
from client.audio import Clip
from client.manifests.manifest import read_manifest
from demo.paths import DEMO, SPEECH_DATA
from tests.client.audio.recordings import record, write
from tests.client.support import scripted_server
from tests.needs import needs_speech

AN4 = SPEECH_DATA / "an4"
SINGAPORE = SPEECH_DATA / "singapore"
TEXTS = {"a": "Good day.", "b": "yes"}


def folders(folder):
    for name, text in TEXTS.items():
        write(folder / "texts" / f"{name}.txt", text)
    return ["--transcripts", "texts"]


def librispeech(folder):
    write(folder / "1/1.trans.txt", *(f"{name} {text}" for name, text in TEXTS.items()))
    return ["--transcripts", "."]


def kaldi(folder):
    write(folder / "data/wav.scp", *(f"{name} {name}.wav" for name in TEXTS))
    write(folder / "data/text", *(f"{name} {text}" for name, text in TEXTS.items()))
    return ["--transcripts", "data"]


def sphinx(folder):
    write(folder / "x.fileids", *TEXTS)
    lines = (f"<s> {text} </s> ({name})" for name, text in TEXTS.items())
    write(folder / "x.transcription", *lines)
    return ["--transcripts", "x.fileids"]


def table(folder):
    write(folder / "t.csv", "path,text", *(f"{name}.wav,{text}" for name, text in TEXTS.items()))
    return ["--transcripts", "t.csv"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with ``audio/a.wav`` and ``audio/b.wav``, of one second."""
    for name in TEXTS:
        record(tmp_path / "audio" / f"{name}.wav")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def manifest(*arguments):
    return main(["manifest", *map(str, arguments)])


def facts(printed):
    """The summary's names and what they are."""
    rows = (line.strip("│").split("│") for line in printed.splitlines() if line.startswith("│"))
    return {name.strip(): fact.strip() for name, fact in rows}


@pytest.mark.parametrize("layout", [folders, librispeech, kaldi, sphinx, table])
@pytest.mark.parametrize("force", [False, True], ids=["guessed", "forced"])
def test_every_layout_becomes_a_manifest(layout, force, folder, capsys):
    arguments = [*layout(folder), "--audio", "audio", "--output", "m.jsonl"]
    if force:
        arguments += ["--kind", layout.__name__]
    assert manifest(*arguments) == 0
    entries = list(read_manifest(folder / "m.jsonl"))
    assert [entry.fields for entry in entries] == [
        {"audio_filepath": f"audio/{name}.wav", "duration": 1.0, "text": text}
        for name, text in TEXTS.items()
    ]
    assert [entry.item for entry in entries] == [
        Clip(folder / "audio" / f"{name}.wav") for name in TEXTS
    ]
    captured = capsys.readouterr()
    assert captured.err == ""
    assert facts(captured.out)["entries"] == "2"
    first = (folder / "m.jsonl").read_bytes()
    assert manifest(*arguments) == 0
    assert (folder / "m.jsonl").read_bytes() == first
    assert manifest("--check", "m.jsonl") == 0


def test_paths_are_relative_below_the_manifest_and_absolute_elsewhere(folder):
    (folder / "out").mkdir()
    (folder / "links").symlink_to(folder / "audio")
    for audio, output, path in (
        ("audio", "m.jsonl", "audio/a.wav"),
        ("audio", "audio/m.jsonl", "a.wav"),
        ("out/../audio", "m.jsonl", "audio/a.wav"),
        ("links", "m.jsonl", "links/a.wav"),
        ("audio", "out/m.jsonl", str(folder / "audio/a.wav")),
    ):
        assert manifest(*folders(folder), "--audio", audio, "--output", output) == 0
        (entry, _) = read_manifest(folder / output)
        assert entry.fields["audio_filepath"] == path
        assert entry.item.source.samefile(folder / "audio/a.wav")


def test_pieces_and_speakers_are_fields(folder):
    record(folder / "data/long.flac", 3.0)
    write(folder / "data/wav.scp", "r long.flac")
    write(folder / "data/text", "u1 one", "u2 two")
    write(folder / "data/segments", "u1 r 0 1.2504", "u2 r 1.2504 -1")
    write(folder / "data/utt2spk", "u1 anna", "u2 bert")
    assert manifest("--transcripts", "data", "--output", "m.jsonl") == 0
    one, two = read_manifest(folder / "m.jsonl")
    path = "data/long.flac"
    assert one.fields == {
        "audio_filepath": path, "duration": 1.25, "text": "one", "offset": 0.0, "speaker": "anna",
    }  # fmt: skip
    assert two.fields == {
        "audio_filepath": path, "duration": 1.75, "text": "two", "offset": 1.25, "speaker": "bert",
    }  # fmt: skip
    assert manifest("--check", "m.jsonl") == 0


def test_texts_become_small_on_demand_and_are_written_in_utf_8(folder):
    write(folder / "audio/a.txt", "ÉTÉ")
    write(folder / "audio/b.txt", "Ja, gut!")
    assert manifest("--audio", "audio", "--output", "m.jsonl", "--lower") == 0
    assert "été" in (folder / "m.jsonl").read_text("utf-8")
    assert [entry.fields["text"] for entry in read_manifest(folder / "m.jsonl")] == [
        "été",
        "ja, gut!",
    ]


@pytest.mark.parametrize(
    ("flag", "text"), [("--lower", "istanbul isparta"), ("--lower-tr", "istanbul \u0131sparta")]
)
def test_turkish_texts_become_small_without_a_dot_of_its_own(flag, text, folder):
    write(folder / "audio/a.txt", "\u0130STANBUL ISPARTA")
    assert manifest("--audio", "audio", "--output", "m.jsonl", flag, "--allow-missing") == 0
    (entry,) = read_manifest(folder / "m.jsonl")
    assert entry.fields["text"] == text


def test_what_is_left_out_is_named_and_counted_and_is_a_failure_unless_allowed(folder, capsys):
    arguments = [*folders(folder), "--audio", "audio", "--output", "m.jsonl"]
    record(folder / "audio/c.wav")
    write(folder / "texts/d.txt", "nothing")
    assert manifest(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "error: texts/d.txt: no audio in audio is called d: check --audio",
        "error: audio/c.wav: has no transcript",
    ]
    summary = facts(captured.out)
    assert summary["entries"] == "2"
    assert summary["audio without transcript"] == summary["transcripts without audio"] == "1"
    assert len(list(read_manifest(folder / "m.jsonl"))) == 2
    assert manifest(*arguments, "--allow-missing") == 0


def test_a_manifest_of_nothing_is_not_written(folder, capsys):
    write(folder / "m.jsonl", '{"old": 1}')
    write(folder / "texts/d.txt", "nothing")
    arguments = ["--transcripts", "texts", "--audio", "audio", "--output", "m.jsonl"]
    assert manifest(*arguments, "--allow-missing") == 1
    assert "gives no utterance (read as folders)" in capsys.readouterr().err
    assert (folder / "m.jsonl").read_text() == '{"old": 1}\n'
    assert {path.name for path in folder.iterdir()} == {"m.jsonl", "texts", "audio"}


def test_transcripts_that_are_not_known_are_one_error(folder, capsys):
    assert manifest("--audio", "audio", "--output", "m.jsonl") == 1
    assert capsys.readouterr().err.startswith("error: audio: no transcripts are known there")
    assert not (folder / "m.jsonl").exists()


def test_columns_are_for_tables(folder, capsys):
    columns = ["--audio-column", "clip", "--text-column", "raw"]
    assert manifest(*folders(folder), "--output", "m.jsonl", *columns) == 1
    assert "error: --audio-column and --text-column are for" in capsys.readouterr().err
    write(folder / "t.csv", "path,clip,text,raw", "x,a.wav,no,yes")
    source = ["--audio", "audio", "--transcripts", "t.csv"]
    assert manifest(*source, "--output", "m.jsonl", *columns) == 0
    (entry,) = read_manifest(folder / "m.jsonl")
    assert (entry.fields["audio_filepath"], entry.fields["text"]) == ("audio/a.wav", "yes")


def test_a_summary_tells_lengths_and_characters(folder, capsys):
    record(folder / "audio/c.wav", 2.5)
    write(folder / "audio/a.txt", "a[b] a")
    write(folder / "audio/b.txt", "b\N{COMBINING ACUTE ACCENT}\N{ZERO WIDTH SPACE}")
    write(folder / "audio/c.txt", "b")
    assert manifest("--audio", "audio", "--output", "m.jsonl") == 0
    assert facts(capsys.readouterr().out) == {
        "entries": "3",
        "audio": "0:00:04 (0.00 hours)",
        "shortest": "1.00 s",
        "median": "1.00 s",
        "longest": "2.50 s",
        "7 characters": "b:3  a:2  space:1  [:1  ]:1  U+0301:1  U+200B:1",
    }


def test_a_check_names_what_does_not_hold(folder, capsys):
    good = {"audio_filepath": "audio/a.wav", "duration": 1.0}
    other = {"audio_filepath": "audio/b.wav", "duration": 3.0, "text": "x"}
    write(folder / "m.jsonl", json.dumps(good), json.dumps(other), "{")
    assert manifest("--check", "m.jsonl") == 1
    captured = capsys.readouterr()
    wrong_duration, no_json = captured.err.splitlines()
    assert wrong_duration.startswith(
        "error: m.jsonl line 2: duration is 3, but audio/b.wav is 1.000 s long"
    )
    assert no_json.startswith("error: m.jsonl line 3: is not JSON")
    summary = facts(captured.out)
    assert summary["entries"] == summary["without text"] == "1"
    assert summary["wrong durations or pieces"] == summary["malformed lines"] == "1"


@pytest.mark.parametrize(
    ("lines", "says"), [([], "holds no utterances"), (None, "cannot read the manifest")]
)
def test_a_check_of_nothing_is_an_error(lines, says, folder, capsys):
    if lines is not None:
        write(folder / "m.jsonl", *lines)
    assert manifest("--check", "m.jsonl") == 1
    assert says in capsys.readouterr().err


def test_what_a_model_does_not_take_is_told_and_stays(folder, capsys):
    record(folder / "audio/c.wav", 2.5)
    for name, text in {"a": "Oh, Oh", "b": "oh", "c": "oh"}.items():
        write(folder / f"audio/{name}.txt", text)
    arguments = ["--audio", "audio", "--output", "m.jsonl"]
    with scripted_server() as url:
        model = ["--model", "demo", "--url", url]
        assert manifest(*arguments, *model) == 0
        captured = capsys.readouterr()
        assert captured.err == (
            "warning: audio/c.txt: audio/c.wav is 2.50 s long, the model takes at most 2 s\n"
        )
        summary = facts(captured.out)
        assert summary["not in demo's characters"] == "O:2  ,:1 (texts with them: 1)"
        assert summary["too long for demo"] == "1 of more than 2 s"
        assert len(list(read_manifest(folder / "m.jsonl"))) == 3
        assert manifest("--check", "m.jsonl", *model) == 0
        assert "too long for demo" in facts(capsys.readouterr().out)


def test_a_model_is_asked_for_before_anything_is_measured(folder, capsys):
    arguments = [*folders(folder), "--audio", "audio", "--output", "m.jsonl"]
    assert manifest(*arguments, "--model", "demo", "--url", "127.0.0.1:1") == 1
    assert "nothing listens there" in capsys.readouterr().err
    assert not (folder / "m.jsonl").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--audio", "."],
        ["--output", "m.jsonl"],
        ["--audio", ".", "--output", "nowhere/m.jsonl"],
        ["--audio", ".", "--output", "m.jsonl", "--kind", "htk"],
        ["--check", "m.jsonl", "--output", "n.jsonl"],
        ["--check", "m.jsonl", "--allow-missing"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        manifest(*arguments)
    assert exit_.value.code == 2
    assert "usage: nemo-ctc manifest" in capsys.readouterr().err


def test_the_notebooks_layout_is_transcribed_by_the_real_server(folder, server_url, capsys):
    """Clips that the demo model hears without an error, as folders of audio and transcripts."""
    clips = [DEMO / "clips" / f"clip_0{number}.flac" for number in (1, 2, 3)]
    texts = {
        entry.item.source.name: entry.fields["text"]
        for entry in read_manifest(DEMO / "clips" / "manifest.jsonl")
    }
    (folder / "pretrained/audio_clips").mkdir(parents=True)
    for clip in clips:
        shutil.copy(clip, folder / "pretrained/audio_clips")
        write(folder / f"pretrained/transcripts/{clip.stem}.txt", texts[clip.name])
    served = ["--model", "demo", "--url", server_url]
    arguments = ["--audio", "pretrained/audio_clips", "--transcripts", "pretrained/transcripts"]
    assert manifest(*arguments, "--output", "m.jsonl", *served) == 0
    assert facts(capsys.readouterr().out)["fits demo"] == "yes"
    assert main(["transcribe", "--manifest", "m.jsonl", "--format", "jsonl", *served]) == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [result["pred_text"] for result in results] == [result["text"] for result in results]
    assert len(results) == 3


@needs_speech(AN4)
def test_an4_is_read_as_it_comes(tmp_path):
    """Its transcripts become those of the manifests that were made of them by other means."""
    known = {
        entry.item.source.name: entry.fields for entry in read_manifest(AN4 / "test_manifest.json")
    }
    output = tmp_path / "m.jsonl"
    source = ["--audio", AN4 / "test", "--transcripts", AN4 / "an4_test.fileids"]
    assert manifest(*source, "--output", output, "--lower") == 0
    entries = list(read_manifest(output))
    assert len(entries) == len(known) == 130
    for entry in entries:
        fields = known[entry.item.source.name]
        assert entry.fields["text"] == fields["text"]
        assert entry.fields["duration"] == pytest.approx(fields["duration"], abs=0.05)
    assert manifest("--check", AN4 / "test_manifest.json") == 0


@needs_speech(SINGAPORE)
def test_the_notebooks_own_clips(tmp_path):
    output = tmp_path / "m.jsonl"
    assert manifest("--audio", SINGAPORE, "--output", output) == 0
    first, *_, last = read_manifest(output)
    assert first.fields["duration"] == 15.729  # it printed 15.728875
    assert last.fields["duration"] == 18.588  # and 18.5875625
