"""The command line as scripts use it: streams, exit status, and one clear line for each failure."""

import http.server
import json
import subprocess
import sys
import threading
import tomllib

import numpy as np
import pytest

from client.__main__ import main
from tests.client.support import encoded
from tests.conftest import PROJECT

ENTRIES = [
    {"audio_filepath": "good.wav", "text": "cat", "speaker": 7},
    {"audio_filepath": "gone.wav", "text": "cat"},
    {"audio_filepath": "good.wav", "text": "dog cat", "pred_text": "old", "error": "old"},
]

COMMANDS = ["manifest", "transcribe", "evaluate", "lm", "tune", "models"]
LM = ["train", "convert", "info"]

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with one recording and a manifest whose second line is wrong."""
    (tmp_path / "good.wav").write_bytes(encoded(np.zeros(16000, np.int16)))
    lines = [json.dumps(entry) for entry in ENTRIES]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    (tmp_path / "good.jsonl").write_text(lines[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command, *arguments, url):
    return main([command, *arguments, "--model", "demo", "--url", url])


def test_text_is_a_line_for_each_recording_and_failures_go_to_standard_error(server, capsys):
    assert run("transcribe", "good.wav", "gone.wav", "good.wav", url=server) == 1
    captured = capsys.readouterr()
    assert captured.out == "good.wav\tcat\ngone.wav\t\ngood.wav\tcat\n"
    assert captured.err == "error: gone.wav: no such file: check the path\n"


def test_a_folder_stands_for_the_audio_in_it_and_below_it_by_name(folder, server, capsys):
    for name in ("b.wav", "A.FLAC", "._b.wav", "notes.txt", "more/c.wav"):
        (folder / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "all" / name).write_bytes((folder / "good.wav").read_bytes())
    assert run("transcribe", "good.wav", "all", url=server) == 0
    names = ["good.wav", "all/A.FLAC", "all/b.wav", "all/more/c.wav"]
    assert capsys.readouterr().out == "".join(f"{name}\tcat\n" for name in names)


def test_a_folder_without_audio_is_an_error(folder, server, capsys):
    (folder / "empty").mkdir()
    assert run("transcribe", "empty", url=server) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: empty: no audio file is in this folder or below it")
    assert ".wav" in error


def test_subtitles_of_a_folder_need_a_folder_even_for_one_recording(folder, server, capsys):
    with pytest.raises(SystemExit):
        run("transcribe", str(folder), "--format", "srt", url=server)
    assert "several recordings need --output FOLDER" in capsys.readouterr().err


def test_json_lines_keep_the_manifests_fields(server, capsys):
    assert run("transcribe", "--manifest", "m.jsonl", "--format", "jsonl", url=server) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    first, second, third = ENTRIES
    heard = {"word": "cat", "start": 0.0, "end": 0.1, "confidence": 0.999}
    assert lines[0] == {**first, "duration": 1.0, "pred_text": "cat", "words": [heard]}
    assert lines[1] == {**second, "error": "gone.wav: no such file: check the path"}
    assert lines[2] == {
        "audio_filepath": "good.wav",
        "text": third["text"],
        "duration": 1.0,
        "pred_text": "cat",
        "words": [heard],
    }


def test_all_well_is_status_0(server, capsys):
    assert run("transcribe", "good.wav", url=server) == 0
    assert capsys.readouterr().err == ""


def test_output_appears_whole(folder, server, capsys):
    assert run("transcribe", "good.wav", "--output", "out.txt", url=server) == 0
    assert (folder / "out.txt").read_text() == "good.wav\tcat\n"
    assert capsys.readouterr().out == ""


def test_an_output_that_could_not_be_finished_leaves_the_old_one(folder, capsys):
    (folder / "out.txt").write_text("old")
    assert run("transcribe", "good.wav", "--output", "out.txt", url="localhost:1") == 1
    assert (folder / "out.txt").read_text() == "old"
    assert not list(folder.glob(".*part"))
    assert capsys.readouterr().err.startswith("error: the server at localhost:1 cannot be reached")


def test_evaluate_emits_rates_as_fractions_with_their_counts(server, capsys):
    assert run("evaluate", "--manifest", "m.jsonl", "--format", "json", url=server) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["wer"] == pytest.approx(1 / 3)
    assert report["words"] == {
        "hits": 2, "substitutions": 0, "deletions": 1, "insertions": 0, "reference": 3,
    }  # fmt: skip
    assert report["cer"] == pytest.approx(4 / 10)
    assert (report["utterances"], report["failed"], report["audio_s"]) == (2, 1, 2.0)
    assert report["rtfx"] > 0
    (failure,) = report["failures"]
    assert (failure["line"], failure["name"]) == (2, "gone.wav")
    assert failure["error"].endswith("gone.wav: No such file or directory: check the path")
    (system,) = report["systems"]
    assert (system["name"], system["decoder"], system["wer"]) == ("greedy", "greedy", report["wer"])
    assert (report["normalization"], report["differences"]) == ([], [])


def test_evaluate_shows_wrong_utterances_reference_over_hypothesis(server, capsys):
    assert run("evaluate", "--manifest", "m.jsonl", url=server) == 1
    out = capsys.readouterr().out
    assert "33.33%" in out
    assert "2 utterances, 1 failed" in out
    assert "  reference  dog cat\n  greedy     *** cat\n" in out


def test_evaluate_shows_no_more_errors_than_asked_for(server, capsys):
    run("evaluate", "--manifest", "m.jsonl", "--show-errors", "0", url=server)
    out = capsys.readouterr().out
    assert "dog" not in out
    assert "1 more wrong utterance" in out
    assert "1 more failed utterance" in out


def test_evaluate_needs_a_reference(folder, server, capsys):
    (folder / "m.jsonl").write_text('{"audio_filepath": "good.wav"}\n')
    assert run("evaluate", "--manifest", "m.jsonl", "--format", "json", url=server) == 1
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["wer"] is report["systems"][0]["wer"] is None
    assert report["systems"][0]["words"]["reference"] == 0
    assert "line 1 lacks text" in captured.err
    assert run("evaluate", "--manifest", "m.jsonl", url=server) == 1
    assert "0 utterances, 1 failed" in capsys.readouterr().out


def test_evaluate_warns_of_references_that_cannot_be_written(folder, server, capsys):
    line = {"audio_filepath": "good.wav", "text": "café №7"}
    (folder / "strange.jsonl").write_text(json.dumps(line))
    assert run("evaluate", "--manifest", "strange.jsonl", url=server) == 0
    said = capsys.readouterr().err
    assert "references with characters that the model cannot write: 1;" in said
    assert "'7' 'é' '№'" in said


def test_an_empty_manifest_is_an_error(folder, server, capsys):
    (folder / "empty.jsonl").write_text("\n")
    assert run("transcribe", "--manifest", "empty.jsonl", url=server) == 1
    assert "empty.jsonl: holds no recordings" in capsys.readouterr().err


def test_an_address_of_the_web_is_told_from_an_unknown_host(capsys):
    assert run("transcribe", "good.wav", url="http://localhost:8001") == 1
    assert "give only HOST:PORT" in capsys.readouterr().err


def test_a_recording_given_as_a_manifest_is_one_line_before_any_server_is_asked(capsys):
    assert run("evaluate", "--manifest", "good.wav", url="127.0.0.1:1") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: good.wav: is a recording, expected JSON Lines")
    assert line.endswith("(`nemo-ctc transcribe FILE`)")


def test_evaluate_of_nothing_is_an_error(folder, server, capsys):
    (folder / "m.jsonl").write_text("\n")
    assert run("evaluate", "--manifest", "m.jsonl", url=server) == 1
    assert "no utterances" in capsys.readouterr().err


def test_models_are_listed_and_one_not_ready_is_a_failure(server, capsys):
    assert main(["models", "--url", server]) == 1
    out = capsys.readouterr().out
    for fact in ("demo", "16000 Hz", "28 char", "20 ms", "fp32", "broken", "weights are missing"):
        assert fact in out


def test_models_are_listed_though_another_server_is_away(server, capsys):
    assert main(["models", "--url", "127.0.0.1:1", "--url", server]) == 1
    captured = capsys.readouterr()
    assert "16000 Hz" in captured.out
    assert "127.0.0.1:1 cannot be reached" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["translate"],
        ["transcribe", "--model", "demo"],
        ["transcribe", "a.wav"],
        ["transcribe", "a.wav", "--manifest", "m.jsonl", "--model", "demo"],
        ["transcribe", "a.wav", "--model", "demo", "--alpha", "1"],
        ["transcribe", "a.wav", "--model", "demo", "--lm", "x.arpa"],
        ["transcribe", "a.wav", "--model", "demo", "--decoder", "beam", "--alpha", "1"],
        ["transcribe", "a.wav", "--model", "demo", "--decoder", "beam", "--beta", "1"],
        ["transcribe", "a.wav", "--model", "demo", "--output", "nowhere/out.txt"],
        ["evaluate", "--model", "demo"],
        ["evaluate", "--model", "demo", "--manifest", "m.jsonl", "--show-errors", "-1"],
        ["evaluate", "--model", "demo", "--manifest", "m.jsonl", "--normalize", "upper"],
        ["evaluate", "--model", "demo", "--manifest", "m.jsonl", "--embed-audio"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_with_one_line_and_a_hint(arguments, capsys):
    called = arguments[:1] if arguments[:1] != ["translate"] else []
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert hint == f"hint: {' '.join(['nemo-ctc', *called])} -h explains the options"


def test_the_decoder_may_be_pyctcdecode(server, capsys):
    arguments = ["good.wav", "--decoder", "pyctcdecode", "--nbest", "2", "--format", "jsonl"]
    assert run("transcribe", *arguments, url=server) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    line = json.loads(captured.out)
    assert line["pred_text"] == line["nbest"][0]["text"] == "cat"
    assert line["words"] == [{"word": "cat", "start": 0.0, "end": 0.1, "confidence": None}]


@pytest.mark.parametrize("alpha", ["-1", "nan"])
def test_senseless_options_are_one_clear_line(alpha, server, capsys):
    arguments = ["good.wav", "--decoder", "beam", "--lm", "x.arpa", "--alpha", alpha]
    assert run("transcribe", *arguments, url=server) == 1
    assert capsys.readouterr().err.startswith(f"error: beam search options: alpha {float(alpha)}")


def process(*command, stdin=""):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", *command],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def http_url():
    """A port where something listens that is no gRPC server."""

    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("case", ["server down", "wrong port", "unknown model"])
def test_a_failed_connection_is_one_line_and_status_1(case, server, http_url):
    url, says = {
        "server down": ("127.0.0.1:1", "nothing listens there"),
        "wrong port": (http_url, "gRPC is on 8001 and HTTP on 8000"),
        "unknown model": (server, "it has broken, demo"),
    }[case]
    done = process("client", "transcribe", "a.wav", "--model", "dmo", "--url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert says in done.stderr


@pytest.mark.parametrize(
    ("command", "count", "says"),
    [
        ("transcribe", 2, "good.wav\tcat\n"),
        ("evaluate", 2, "2 utterances, 0 failed"),
        ("evaluate", 0, "error: /dev/stdin: holds no utterances"),
    ],
)
def test_a_manifest_may_come_through_a_pipe(command, count, says, server, folder):
    line = json.dumps({"audio_filepath": f"{folder}/good.wav", "text": "cat"}) + "\n"
    arguments = ["--manifest", "/dev/stdin", "--model", "demo", "--url", server]
    done = process("client", command, *arguments, stdin=line * count)
    assert done.returncode == (0 if count else 1)
    assert says in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("client", "nemo-ctc"),
        ("client transcribe", "nemo-ctc transcribe"),
        ("client evaluate", "nemo-ctc evaluate"),
        ("client manifest", "nemo-ctc manifest"),
        ("client models", "nemo-ctc models"),
        ("server", "python -m server"),
        ("demo", "python -m demo"),
    ],
)
def test_every_command_has_help(command, name):
    done = process(*command.split(), "-h")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {name} ")


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from client.__main__ import main\n"
        "try: main(['-h'])\n"
        "except SystemExit: print('IMPORTED', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    text, _, imported = done.stdout.partition("IMPORTED")
    assert "transcribe" in text
    assert not {"numpy", "grpc", "rich", "soundfile"} & set(imported.split())


def test_help_lists_the_commands_under_a_heading(capsys):
    with pytest.raises(SystemExit):
        main(["-h"])
    _, _, listed = capsys.readouterr().out.partition("\ncommands:\n")
    assert [line.split()[0] for line in listed.partition("\n\n")[0].splitlines()] == COMMANDS


@pytest.mark.parametrize(
    "command", [[], *([name] for name in COMMANDS), *(["lm", name] for name in LM)]
)
def test_help_shows_no_marks_of_rest(command, capsys):
    with pytest.raises(SystemExit):
        main([*command, "-h"])
    assert "``" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["client", "server"])
def test_the_version_is_the_projects(command):
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    done = process(command, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split()[-1] == project["version"]


def test_subtitles_of_one_recording_go_where_text_would(server, capsys):
    assert run("transcribe", "good.wav", "--format", "srt", url=server) == 0
    assert capsys.readouterr().out == "1\n00:00:00,000 --> 00:00:01,000\ncat\n"


def test_subtitles_of_several_recordings_are_files_of_a_folder(folder, server, capsys):
    (folder / "out").mkdir()
    (folder / "more").mkdir()
    (folder / "more" / "good.flac").write_bytes((folder / "good.wav").read_bytes())
    arguments = ["good.wav", "gone.wav", "more/good.flac", "--format", "vtt", "--output", "out"]
    assert run("transcribe", *arguments, url=server) == 1
    assert [path.name for path in (folder / "out").iterdir()] == ["good.vtt"]
    said = capsys.readouterr().err
    assert "gone.wav: no such file" in said
    assert "more/good.flac: good.vtt holds another recording of that name" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["good.wav", "good.wav", "--format", "srt"], "need --output FOLDER"),
        (["--manifest", "m.jsonl", "--format", "srt", "--output", "o.srt"], "need --output FOLDER"),
        (["good.wav", "--output", "."], "is a folder, expected a file"),
        (["good.wav", "--resume"], "--resume: needs --manifest"),
        (["--manifest", "m.jsonl", "--output", "o.txt", "--resume"], "--resume: needs --manifest"),
    ],
)
def test_outputs_that_do_not_fit_are_wrong_usage(server, capsys, arguments, says):
    with pytest.raises(SystemExit) as raised:
        run("transcribe", *arguments, url=server)
    assert raised.value.code == 2
    assert says in capsys.readouterr().err


def test_bulk_results_are_kept_by_line_and_tried_again_on_request(folder, server, capsys):
    bulk = ["--manifest", "m.jsonl", "--format", "jsonl", "--output", "out.jsonl"]
    assert run("transcribe", *bulk, url=server) == 1
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [line["line"] for line in lines] == [1, 2, 3]
    assert "1 of 3 recordings failed, see out.errors.jsonl: --resume" in capsys.readouterr().err
    assert run("transcribe", *bulk, url=server) == 1
    said = capsys.readouterr().err
    assert "out.jsonl: exists already" in said
    assert "--resume" in said
    (folder / "gone.wav").write_bytes((folder / "good.wav").read_bytes())
    assert run("transcribe", *bulk, "--resume", url=server) == 0
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [line["pred_text"] for line in lines] == ["cat"] * 3
    assert not (folder / "out.errors.jsonl").exists()


def test_standard_input_is_a_recording_like_others(folder, server):
    command = [sys.executable, "-m", "client", "transcribe", "--model", "demo", "--url", server]
    for arguments, sent in (
        ([], (folder / "good.wav").read_bytes()),
        (["--raw", "8000:2:mulaw"], bytes(16000)),
    ):
        done = subprocess.run(
            [*command, "-", *arguments], input=sent, capture_output=True, cwd=PROJECT, check=False
        )
        assert (done.returncode, done.stdout) == (0, b"-\tcat\n"), done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--channel", "0"], 1, "the channel is 0, expected 1 to"),
        (["--channel", "2"], 1, "channel"),
        (["--window", "nan"], 1, "windows are nan s long, expected at least 1 (--window)"),
        (["--raw", "fast"], 2, "'fast': expected HZ"),
        (["--raw", "16000:1:opus"], 2, "the encoding is 'opus'"),
    ],
)
def test_recordings_cannot_be_read_in_ways_that_make_no_sense(server, arguments, status, says):
    command = ["transcribe", "good.wav", *arguments, "--model", "demo", "--url", server]
    done = process("client", *command)
    assert done.returncode == status
    assert says in done.stderr


@pytest.mark.parametrize("strict", [False, True])
def test_damaged_recordings_are_transcribed_and_told(strict, folder, server, capsys):
    (folder / "half.wav").write_bytes(encoded(np.zeros(16000, np.int16))[:16044])
    entries = [{"audio_filepath": name, "warnings": ["old"]} for name in ("half.wav", "good.wav")]
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, entries)))
    bulk = ["--manifest", "m.jsonl", "--format", "jsonl", "--output", "out.jsonl"]
    more = ["--strict-audio"] if strict else []
    assert run("transcribe", *bulk, *more, url=server) == strict
    half, good = (json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines())
    assert good["pred_text"] == "cat"
    assert "warnings" not in good
    said = capsys.readouterr().err
    found = "half.wav: is damaged or truncated: its header promises 32000 bytes of samples, "
    if strict:
        assert found in half["error"]
        return
    assert half["pred_text"] == "cat"
    assert half["duration"] == 0.5
    assert [warning.startswith(found) for warning in half["warnings"]] == [True]
    assert f"warning: {found}" in said
    assert "1 of them have warnings: of those that are damaged or truncated the" in said


def test_names_are_shown_as_they_stand_and_shortly(folder, server, capsys):
    entries = [
        {"audio_filepath": "raw.ark:1234:smile: [bold]x[/bold]"},
        {"audio_filepath": f"{'long' * 1000}.wav"},
        {"audio_filepath": ["not a path"] * 10_000},
        {"audio_filepath": "good.wav", "text": ["no text"] * 10_000},
    ]
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, entries)))
    assert run("transcribe", "--manifest", "m.jsonl", url=server) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: raw.ark:1234:smile: [bold]x[/bold]: no such file: check the path"
    assert "characters) …" in lines[1]
    assert len(lines) == 4
    assert max(map(len, lines)) < 400


def test_tables_show_names_as_they_stand(server, capsys):
    system = ["--system", "[bold]a:smile:=greedy"]
    assert run("evaluate", "--manifest", "good.jsonl", *system, url=server) == 0
    assert "[bold]a:smile:" in capsys.readouterr().out
