"""Outputs: what cannot be written is told before the work, and no input is written over."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from client.__main__ import main
from client.errors import OutputError
from client.utils.files import check_folder, written_whole
from tests.client.support import encoded, infer_reply, scripted_server

LINE = {"audio_filepath": "good.wav", "text": "cat"}
BULK = ["--manifest", "m.jsonl", "--format", "jsonl", "--output"]


@pytest.fixture(scope="module")
def asked():
    """The requests that the server had."""
    return []


@pytest.fixture(scope="module")
def server(asked):
    """A server that hears "cat" in everything."""

    def hear(*arguments):
        asked.append(arguments)
        return infer_reply("cat")

    with scripted_server(hear) as url:
        yield url


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with recordings, of one under other names too, and a manifest."""
    (tmp_path / "more").mkdir()
    for name in ("good.wav", "more/good.flac"):
        (tmp_path / name).write_bytes(encoded(np.zeros(16000, np.int16)))
    (tmp_path / "m.jsonl").write_text(f"{json.dumps(LINE)}\n")
    (tmp_path / "symbolic").symlink_to("good.wav")
    os.link(tmp_path / "good.wav", tmp_path / "hard")
    for name in ("out.errors.jsonl", "h.jsonl"):
        (tmp_path / name).write_text(f"{json.dumps(LINE)}\n")
    (tmp_path / "a.words.txt").write_text("cat\n")
    (tmp_path / "lm.arpa").write_text("not read")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command, *arguments, url):
    return main([command, *arguments, "--model", "demo", "--url", url])


@pytest.mark.parametrize(
    "command",
    [
        "transcribe good.wav --output good.wav",
        "transcribe good.wav --output symbolic",
        "transcribe symbolic --output hard",
        "transcribe good.wav --format srt --output more/../good.wav",
        "transcribe --manifest m.jsonl --output m.jsonl",
        "transcribe --manifest m.jsonl --output hard",
        "transcribe --manifest m.jsonl --format jsonl --output m.jsonl",
        "transcribe --manifest m.jsonl --format jsonl --output m.jsonl --resume",
        "transcribe --manifest out.errors.jsonl --format jsonl --output out.jsonl",
        "evaluate --manifest m.jsonl --output m.jsonl",
        "evaluate --manifest m.jsonl --report symbolic",
        "evaluate --manifest m.jsonl --report lm.arpa --decoder beam --lm lm.arpa",
        "tune --manifest m.jsonl --lm lm.arpa --output lm.arpa",
        "tune --manifest m.jsonl --lm lm.arpa --output m.jsonl",
        "tune --manifest m.jsonl --held-out h.jsonl --lm lm.arpa --output h.jsonl",
        "lm info lm.arpa --output lm.arpa",
        "lm train a.words.txt --output a",
    ],
)
def test_an_output_that_is_an_input_is_refused_by_any_name(command, folder, server, asked, capsys):
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    asked.clear()
    assert run(*command.split(), url=server) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "which the output would overwrite: choose another output" in said
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert asked == []


def test_two_outputs_are_not_one_file(server, capsys):
    arguments = ["--manifest", "m.jsonl", "--output", "r.html", "--report", "more/../r.html"]
    assert run("evaluate", *arguments, url=server) == 1
    assert "several outputs have this name" in capsys.readouterr().err


def test_what_is_no_results_file_is_not_cut_when_a_run_goes_on(folder, server, capsys):
    (folder / "notes.txt").write_text("no line break")
    assert run("transcribe", *BULK, "notes.txt", "--resume", url=server) == 1
    assert "notes.txt: line 1 is no result" in capsys.readouterr().err
    assert (folder / "notes.txt").read_text() == "no line break"


def test_a_manifest_is_written_over_a_manifest_alone(folder, capsys):
    (folder / "t.csv").write_text("path,text\ngood.wav,cat\n")
    for output in ("t.csv", "good.wav", "a.words.txt"):
        before = (folder / output).read_bytes()
        arguments = ["--transcripts", "t.csv", "--audio", ".", "--output", output]
        assert main(["manifest", *arguments]) == 1
        assert f"error: {output}: exists and is not a manifest" in capsys.readouterr().err
        assert (folder / output).read_bytes() == before
    (folder / "empty").touch()
    for output in ("m.jsonl", "m.jsonl", "empty"):
        assert main(["manifest", "--transcripts", "t.csv", "--output", output]) == 0


@pytest.mark.parametrize("output", ["-", "/dev/stdout", "/dev/fd/1"])
@pytest.mark.parametrize("arguments", [["good.wav"], BULK[:-1]], ids=["one", "manifest"])
def test_standard_output_has_several_names(output, arguments, folder, server, capsys):
    assert run("transcribe", *arguments, "--output", output, url=server) == 0
    assert "cat" in capsys.readouterr().out
    assert not (folder / "-").exists()


def test_a_file_may_be_called_as_standard_output(folder, server):
    assert run("transcribe", "good.wav", "--output", "./-", url=server) == 0
    assert (folder / "-").read_text() == "good.wav\tcat\n"


@pytest.mark.parametrize("command", ["evaluate --report -", "tune --lm lm.arpa --output -"])
def test_what_is_no_stream_does_not_go_to_standard_output(command, server, capsys):
    with pytest.raises(SystemExit):
        run(*command.split(), "--manifest", "m.jsonl", url=server)
    assert "- is standard output, expected a file" in capsys.readouterr().err


def test_a_manifests_results_go_through_pipes_and_devices(folder, server):
    os.mkfifo(folder / "pipe")
    read = subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE)
    assert run("transcribe", *BULK, "pipe", url=server) == 0
    assert json.loads(read.communicate(timeout=30)[0])["pred_text"] == "cat"
    assert run("transcribe", *BULK, "/dev/null", url=server) == 0
    assert Path("/dev/null").is_char_device()
    assert (folder / "pipe").is_fifo()
    assert not list(folder.glob("*run.json"))


def test_a_link_stays_and_what_it_leads_to_is_written(folder, server):
    (folder / "link").symlink_to("more/target")
    for _ in range(2):
        assert run("transcribe", "good.wav", "--output", "link", url=server) == 0
        assert (folder / "link").is_symlink()
        assert (folder / "more" / "target").read_text() == "good.wav\tcat\n"


@pytest.mark.parametrize("characters", ["字" * 80, "字" * 84], ids=len)
def test_subtitles_are_called_as_recordings_of_long_names(characters, folder, server, capsys):
    """80 characters of three bytes each have room for .srt in 255, 84 and .wa have none."""
    name = f"{characters}.wav" if len(characters) == 80 else f"{characters}.wa"
    (folder / name).write_bytes((folder / "good.wav").read_bytes())
    (folder / "out").mkdir()
    arguments = [name, "good.wav", "--format", "srt", "--output", "out"]
    fits = len(characters) == 80
    assert run("transcribe", *arguments, url=server) == (0 if fits else 1)
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == ({f"{characters}.srt", "good.srt"} if fits else {"good.srt"})
    assert fits or "a name of 256 bytes" in capsys.readouterr().err


def test_a_long_name_is_no_longer_while_it_is_written(tmp_path):
    path = tmp_path / ("x" * 255)
    with written_whole(path) as part:
        part.write_text("whole")
    assert path.read_text() == "whole"


def test_ctm_does_not_mix_recordings_of_one_name(server, capsys):
    arguments = ["good.wav", "more/good.flac", "./good.wav", "--format", "ctm"]
    assert run("transcribe", *arguments, "--channel", "1", url=server) == 1
    captured = capsys.readouterr()
    first, comment, again = captured.out.splitlines()
    assert first == again
    assert first.startswith("good 1 0.000 ")
    told = "CTM drops folders and suffixes, and good.wav is already called good: rename one of them"
    assert comment == f";; good: {told}"
    assert f"error: more/good.flac: {told}" in captured.err


def test_ctm_tells_the_channel_that_was_read(folder, server, capsys):
    (folder / "two.wav").write_bytes(encoded(np.zeros((16000, 2), np.int16)))
    for arguments, channel in ((["--channel", "2"], 2), ([], 1)):
        assert run("transcribe", "two.wav", "--format", "ctm", *arguments, url=server) == 0
        assert capsys.readouterr().out.startswith(f"two {channel} ")


@pytest.mark.parametrize(
    "arguments",
    [
        "transcribe good.wav --output {}/o",
        "evaluate --manifest m.jsonl --output {}/o",
        "evaluate --manifest m.jsonl --report {}/o",
        "tune --manifest m.jsonl --lm lm.arpa --output {}/o",
        "tune --manifest m.jsonl --lm lm.arpa --output o --plot {}/o.png",
        "manifest --audio . --output {}/o",
    ],
)
def test_a_folder_that_takes_no_files_is_told_at_once(arguments, capsys):
    with pytest.raises(SystemExit) as raised:  # /proc lets nobody make files, not even root
        main([*arguments.format("/proc").split(), "--model", "demo", "--url", "127.0.0.1:1"])
    assert raised.value.code == 2
    assert "/proc: no file can be written there" in capsys.readouterr().err


def test_a_folder_is_left_as_it_was_when_it_is_checked(tmp_path):
    (tmp_path / "empty").mkdir()
    check_folder(tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []
    with pytest.raises(OutputError, match="gone: no file can be written there: No such file"):
        check_folder(tmp_path / "gone")


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        ({}, ["--cache", "good.wav/kept"]),
        ({}, ["--cache", "/proc/kept"]),
        ({"XDG_CACHE_HOME": "/proc"}, []),
        ({"XDG_CACHE_HOME": "", "HOME": "good.wav"}, []),
    ],
)
def test_a_cache_that_cannot_be_is_told_before_the_acoustic_pass(
    variables, arguments, server, asked, monkeypatch, capsys
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    asked.clear()
    assert run("evaluate", "--manifest", "m.jsonl", *arguments, url=server) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "the folder for caches cannot be made" in said
    assert bool(arguments) or said.endswith("choose another one (--cache DIR, XDG_CACHE_HOME)\n")
    assert asked == []


def shell(command, url):
    """The command with what the shell does to its streams, in an environment without colours."""
    client = f"{sys.executable} -m client"
    text = command.replace("CLIENT", client).replace("SERVER", f"--model demo --url {url}")
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("CLIENT transcribe good.wav SERVER >&-", "standard output is closed"),
        ("CLIENT evaluate --manifest m.jsonl SERVER >&-", "standard output is closed"),
        ("CLIENT transcribe good.wav SERVER > /dev/full", "No space left on device"),
        ("CLIENT transcribe good.wav SERVER --output /dev/full", "No space left on device"),
        ("CLIENT evaluate --manifest m.jsonl SERVER > /dev/full", "No space left on device"),
        ("CLIENT transcribe - SERVER <&-", "standard input is closed"),
    ],
)
def test_a_stream_that_is_closed_or_full_is_one_line_and_status_1(command, says, server, asked):
    asked.clear()
    done = shell(command, server)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert asked == [] or "/dev/full" in command


def test_closed_streams_that_are_not_needed_do_no_harm(folder, server):
    """Nor does a file get their descriptors, which others would write to."""
    done = shell("CLIENT transcribe good.wav SERVER --output o <&- >&- 2>&-", server)
    assert (done.returncode, (folder / "o").read_text()) == (0, "good.wav\tcat\n")


def test_results_are_utf_8_whatever_the_locale_says(folder, server):
    (folder / "né.wav").write_bytes((folder / "good.wav").read_bytes())
    done = shell("PYTHONIOENCODING=ascii CLIENT transcribe né.wav gone-é.wav SERVER", server)
    assert (done.returncode, done.stdout) == (1, "né.wav\tcat\ngone-é.wav\t\n")
    assert done.stderr == "error: gone-\\xe9.wav: no such file: check the path\n"
