"""Options that say where recordings are cut, and which channels are read."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from client.__main__ import main
from client.audio import Clip, Span
from client.commands.segments import segmented
from client.errors import ManifestError
from client.manifests.manifest import Entry, read_manifest
from client.manifests.segments import read_segments
from tests.client.support import infer_reply, scripted_server

RTTM = "SPEAKER {} 1 {} {} <NA> <NA> ann <NA> <NA>\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Recordings of equal names in two folders, and who speaks in them."""
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "call.wav", np.zeros(64000, np.int16), 16000)
    (tmp_path / "who.rttm").write_text(RTTM.format("call", 0.5, 1.0) + RTTM.format("call", 2, 1))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server():
    """A server that hears "cat" in everything."""
    with scripted_server(lambda *_: infer_reply("cat")) as url:
        yield url


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--segments", "who.rttm", "--segment", "vad"], "--segments: the file says where to cut"),
        (["--segments", "who.rttm", "--channel", "each"], "--segments: names the channels itself"),
        (["--channel", "left"], "'left': expected a channel, counted from 1, or each"),
        (["--segment", "energy"], "invalid choice: 'energy'"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(options, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["transcribe", "--model", "demo", "x/call.wav", *options])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--vad-threshold", "1.5"], "is 1.5, expected a probability between 0 and 1"),
        (["--vad-threshold", "1.5"], "(--vad-threshold)"),
        (["--min-silence", "0"], "the least pause is 0.0 s, expected at least 0.064"),
        (["--overlap", "20"], "windows overlap by 20.0 s, expected 0 to 15, half a window"),
        (["--segment", "none", "--window", "9"], "(--window, --segment)"),
        (["--channel", "9"], "expected 1 to 8 or 'each'"),
        (["--segments", "gone.rttm"], "gone.rttm: cannot read the segments"),
        (["--segments", "x/call.wav"], "x/call.wav: is a recording, expected a segment file"),
    ],
)
def test_what_makes_no_sense_is_one_error(options, said, server, capsys):
    status = main(["transcribe", "--url", server, "--model", "demo", "x/call.wav", *options])
    assert status == 1
    assert said in capsys.readouterr().err


def test_a_name_that_no_recording_has_is_a_warning(folder, server, capsys):
    with (folder / "who.rttm").open("a") as lines:
        lines.write(RTTM.format("other", 0, 1))
    arguments = ["--url", server, "--model", "demo", "--segments", "who.rttm", "x/call.wav"]
    assert main(["transcribe", *arguments]) == 0
    told = capsys.readouterr()
    assert told.out == "x/call.wav\tcat cat\n"
    assert "warning: who.rttm: no recording is called ['other']" in told.err


def test_in_bulk_a_bad_line_fails_the_run_and_new_segments_are_not_mixed_in(folder, server, capsys):
    with (folder / "who.rttm").open("a") as lines:
        lines.write("SPEAKER call 1 zero 1.0 <NA> <NA> ann <NA> <NA>\n")
    (folder / "m.jsonl").write_text(json.dumps({"audio_filepath": "x/call.wav"}) + "\n")
    arguments = ["--url", server, "--model", "demo", "--manifest", "m.jsonl", "--segments"]
    output = ["who.rttm", "--format", "jsonl", "--output", "out.jsonl"]
    assert main(["transcribe", *arguments, *output]) == 1
    line = json.loads((folder / "out.jsonl").read_text())
    assert [each["speaker"] for each in line["segments"]] == ["ann", "ann"]
    assert "who.rttm line 3: the start is 'zero'" in capsys.readouterr().err
    (folder / "who.rttm").write_text(RTTM.format("call", 0.5, 1.5))
    assert main(["transcribe", *arguments, *output, "--resume"]) == 1
    assert "was made with other settings, segments" in capsys.readouterr().err


def test_a_manifests_recordings_are_found_where_they_lie(folder, monkeypatch):
    (folder / "m.jsonl").write_text(
        "".join(json.dumps({"audio_filepath": f"{name}/call.wav"}) + "\n" for name in "xy")
    )
    (folder / "who.jsonl").write_text(
        "".join(
            json.dumps({"audio_filepath": f"{name}/call.wav", "offset": start, "duration": 1.0})
            + "\n"
            for start, name in enumerate("xy")
        )
    )
    monkeypatch.chdir("/")
    entries = segmented(read_manifest(folder / "m.jsonl"), read_segments(folder / "who.jsonl"))
    assert [entry.item.segments[0].start_s for entry in entries] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("offset_s", "duration_s", "expected"),
    [
        (0.0, None, [(0.5, 1.5), (2.0, 3.0)]),
        (1.0, None, [(0.0, 0.5), (1.0, 2.0)]),
        (1.0, 1.5, [(0.0, 0.5), (1.0, 1.5)]),
        (1.75, 0.25, []),
        (3.5, None, []),
    ],
)
def test_segments_of_a_piece_are_those_in_it_at_its_times(offset_s, duration_s, expected):
    entry = Entry(1, {"audio_filepath": "x/call.wav"}, Clip("x/call.wav", offset_s, duration_s))
    (found,) = segmented([entry], read_segments(Path("who.rttm")))
    assert found.item.segments == tuple(Span(*each, speaker="ann") for each in expected)


def test_an_entry_of_which_nothing_is_known_fails_and_bad_ones_stay_bad():
    strange = Entry(1, {"audio_filepath": "other.wav"}, Clip("other.wav"))
    bad = Entry(2, {}, ManifestError("is no JSON"))
    first, second = segmented([strange, bad], read_segments(Path("who.rttm")))
    assert isinstance(first.item, ManifestError)
    assert "has no segments of 'other.wav', expected one of ['call']" in str(first.item)
    assert second is bad


def test_results_are_segments_of_the_next_run(folder, server, capsys):
    """Silence too, in which nothing was found."""
    common = ["--url", server, "--model", "demo", "--format", "jsonl", "x/call.wav"]
    assert main(["transcribe", *common, "--segment", "vad"]) == 0
    silent = capsys.readouterr().out
    assert json.loads(silent)["segments"] == []
    (folder / "before.jsonl").write_text(silent)
    assert main(["transcribe", *common, "--segments", "before.jsonl"]) == 0
    assert json.loads(capsys.readouterr().out)["pred_text"] == ""
