"""Texts that exist are compared without a server, or beside systems that need one."""

import csv
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from client.__main__ import main
from client.errors import ManifestError
from client.evaluation import EvaluationOptions, Scored, System, evaluate
from demo.paths import SPEECH_DATA
from tests.client.support import encoded
from tests.conftest import PROJECT
from tests.needs import needs_speech

NOTEBOOK = SPEECH_DATA / "singapore" / "notebook_hypotheses.json"
ENTRIES = [
    {"audio_filepath": "a.wav", "text": "one two", "speaker": "ann", "channel": 10},
    {"audio_filepath": "a.wav", "offset": 1, "text": "three", "speaker": "bob", "channel": 2},
    {"audio_filepath": "b.wav", "text": "four", "duration": 2.5, "channel": 2},
]


def results(*texts, entries=ENTRIES):
    return [{**entry, "pred_text": text} for entry, text in zip(entries, texts, strict=True)]


@pytest.fixture
def write(tmp_path):
    """Writes JSON Lines to a file of this name."""

    def write(name, entries):
        path = tmp_path / name
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        return path

    return write


@pytest.fixture
def scores(write):
    """The evaluation of one file of results, and what was warned of."""

    def scores(lines, manifest=ENTRIES, field="pred_text", **options):
        system = System("other", scored=Scored(write("results.jsonl", lines), field))
        warnings = []
        manifest = write("m.jsonl", manifest)
        options = EvaluationOptions(**options)
        return evaluate(manifest, [system], options=options, warn=warnings.append), warnings

    return scores


@needs_speech(NOTEBOOK)
def test_the_notebooks_error_rates_come_out_of_a_command(capsys, write):
    texts = write("texts.jsonl", json.loads(NOTEBOOK.read_text())["samples"])
    systems = [f"--scored={name}:{name}={texts}" for name in ("greedy", "beam")]
    assert main(["evaluate", *systems]) == 0
    out = capsys.readouterr().out
    assert "│ greedy │ 21.26%" in out
    assert "│ beam   │ 29.13%" in out
    assert "5 utterances, 0 failed; 127 words" in out


def test_lines_in_another_order_are_matched_by_recording_and_offset(scores):
    shuffled = results("one two", "free", "four")[::-1]
    shuffled[1]["offset"] = 1.0
    evaluation, warnings = scores(shuffled)
    assert [each.recognized[0].text for each in evaluation.utterances] == [
        "one two",
        "free",
        "four",
    ]
    assert evaluation.scores[0].words.errors == 1
    assert evaluation.audio_s == 2.5
    assert (evaluation.failures, warnings) == ((), [])


def test_references_are_the_manifests_where_there_is_one(scores):
    lines = [{**line, "text": "something else"} for line in results("one two", "three", "four")]
    assert scores(lines)[0].scores[0].words.errors == 0


def test_pieces_that_are_the_same_are_matched_in_their_order(scores):
    twice = [{"audio_filepath": "a.wav", "text": text} for text in ("one", "two")]
    evaluation, _ = scores(results("one", "two", entries=twice), twice)
    assert evaluation.scores[0].words.errors == 0


def test_without_names_lines_are_matched_by_order(scores):
    bare = [{"hypothesis": text} for text in ("one two", "three", "for")]
    evaluation, _ = scores(bare, field="hypothesis")
    assert evaluation.scores[0].words.errors == 1
    with pytest.raises(ManifestError, match="has 2 lines for 3 entries of the manifest"):
        scores(bare[:2], field="hypothesis")


def test_an_entry_without_a_text_is_a_failure_and_in_no_rate(scores):
    lines = results("one two", None, "four")
    lines[1]["error"] = "a.wav: too long"
    evaluation, _ = scores(lines[:2])
    assert [each.line for each in evaluation.utterances] == [1]
    missing, gone = evaluation.failures
    assert missing.error.endswith(
        "line 2: pred_text is None, expected the recognised text (a.wav: too long)"
    )
    assert gone.error.endswith("has no line for b.wav")


def test_an_entry_without_a_reference_is_a_failure(scores):
    evaluation, _ = scores(
        [{"pred_text": "one"}] * 3, [{"text": "one"}, {"speaker": "ann"}, {"text": 7}]
    )
    assert [each.error for each in evaluation.failures] == [
        "line 2 lacks text, the reference to compare with",
        "line 3 lacks text, the reference to compare with",
    ]


def test_lines_of_no_entry_are_warned_of(scores):
    _, warnings = scores([*results("one two", "three", "four"), {"audio_filepath": "c.wav"}])
    assert warnings[0].endswith("results.jsonl: 1 line matches no entry of the manifest")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([{"text": "a", "hyp": "b"}], "no line has the field 'pred_text', .*there are text, hyp"),
        ([{"audio_filepath": "z.wav", "pred_text": "a"}], r"no line matches an entry .* z\.wav"),
        ([], "no line has the field"),
    ],
)
def test_a_file_that_cannot_be_meant_is_an_error_that_says_why(scores, lines, says):
    with pytest.raises(ManifestError, match=says):
        scores(lines)


def test_rates_are_given_by_the_values_of_a_field(scores):
    evaluation, _ = scores(results("one", "three", "five"), by=("speaker", "channel"))
    found = [
        (each.field, each.value, each.utterances, each.scores[0].words.errors)
        for each in evaluation.groups
    ]
    assert found == [
        ("speaker", "ann", 1, 1),
        ("speaker", "bob", 1, 0),
        ("speaker", None, 1, 1),
        ("channel", 2, 2, 1),
        ("channel", 10, 1, 1),
    ]


def test_a_field_that_no_entry_has_is_an_error(scores):
    with pytest.raises(ManifestError, match=r"no entry has the field 'room'.* speaker, channel"):
        scores(results("one", "two", "three"), by=("room",))


def test_groups_are_in_the_table_and_for_machines(write, capsys):
    file = write("results.jsonl", results("one", "three", "five"))
    assert main(["evaluate", "--scored", f"other={file}", "--by", "speaker"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"│ ann +│ +1 │ +2 │ +50.00% │", out)
    assert "│ (none) " in out
    assert main(["evaluate", f"--scored=other={file}", "--by=speaker", "--format=json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["value"] for each in report["groups"]] == ["ann", "bob", None]
    assert report["groups"][0]["systems"][0]["wer"] == 0.5
    (system,) = report["systems"]
    assert (system["scored"], system["field"]) == (str(file), "pred_text")


def test_csv_has_a_row_for_each_utterance_and_system_and_for_each_failure(write, capsys):
    file = write("results.jsonl", results("one, two", "three", None))
    systems = [f"--scored={name}={file}" for name in ("a", "b")]
    assert main(["evaluate", *systems, "--by", "speaker", "--format", "csv"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["line"], row["system"]) for row in rows] == [
        ("1", "a"),
        ("1", "b"),
        ("2", "a"),
        ("2", "b"),
        ("3", ""),
    ]
    assert (rows[0]["hypothesis"], rows[0]["speaker"], rows[0]["wer"]) == ("one, two", "ann", "0.5")
    assert (rows[0]["words"], rows[0]["substitutions"], rows[0]["error"]) == ("2", "1", "")
    assert "pred_text is None" in rows[4]["error"]


def test_a_field_that_is_called_as_a_column_of_csv_has_its_own(write, capsys):
    file = write("results.jsonl", [{"text": "one", "pred_text": "one", "system": "new", "line": 7}])
    command = ["evaluate", f"--scored=it={file}", "--by=system", "--by=line", "--format=csv"]
    assert main(command) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["system"], row["line"]) == ("it", "1")
    assert (row["by_system"], row["by_line"]) == ("new", "7")


def test_existing_texts_stand_beside_a_model_that_is_asked(server, write, tmp_path):
    (tmp_path / "a.wav").write_bytes(encoded(np.zeros(16000, np.int16)))
    entries = [{"audio_filepath": "a.wav", "text": "cat"}]
    file = write("results.jsonl", results("dog", entries=entries))
    systems = [System("other", scored=Scored(file)), System("greedy", "demo")]
    seen = []
    evaluation = evaluate(write("m.jsonl", entries), systems, server, on_progress=seen.append)
    assert [each.words.errors for each in evaluation.scores] == [1, 0]
    assert [each.step for each in seen] == ["Reading other", "Transcribing", "Decoding greedy"]
    assert evaluation.differences[0].baseline == "other"
    assert evaluation.audio_s == 1.0
    entries[0]["audio_filepath"] = str(tmp_path / "a.wav")
    (score,) = evaluate(entries, systems[1:], server).scores
    assert score.words == evaluation.scores[1].words


def test_on_the_command_line_they_keep_their_place_among_the_systems(
    server, write, tmp_path, capsys
):
    (tmp_path / "a.wav").write_bytes(encoded(np.zeros(16000, np.int16)))
    entries = [{"audio_filepath": "a.wav", "text": "cat"}]
    other = f"--scored=other={write('results.jsonl', results('dog', entries=entries))}"
    command = ["evaluate", "--model=demo", "--url", server, "--format=json", other]
    for options, names in (
        (["--system=live=greedy"], ["other", "live"]),
        ([], ["greedy", "other"]),
    ):
        assert main([*command, *options]) == 0
        report = json.loads(capsys.readouterr().out)
        assert [each["name"] for each in report["systems"]] == names


def test_systems_need_names_of_their_own_and_models_a_server(write):
    file = write("results.jsonl", results("one two", "three", "four"))
    twice = [System("a", scored=Scored(file))] * 2
    with pytest.raises(ValueError, match="two systems share a name"):
        evaluate(file, twice)
    with pytest.raises(ValueError, match="url is missing: give the server of demo"):
        evaluate(file, [System("greedy", "demo")])


def test_the_package_is_imported_without_what_evaluating_needs():
    program = "import sys, client.evaluation; assert not {'jiwer', 'grpc'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=PROJECT)


def test_a_report_needs_no_recordings(write, tmp_path):
    entries = [{"text": "one", "pred_text": "won", "room": "<b>"}, {"text": "a", "pred_text": "a"}]
    file = write("results.jsonl", entries)
    report = tmp_path / "report.html"
    assert main(["evaluate", f"--scored=other={file}", "--by=room", f"--report={report}"]) == 0
    page = report.read_text()
    assert "won" in page
    assert "Word error rate by <bdi>room</bdi>" in page
    assert page.index("&lt;b&gt;") < page.index("(none)")
    assert '<th scope="col" class="number">WER</th>' in page


def test_audio_is_embedded_without_a_model_too(write, tmp_path):
    (tmp_path / "a.wav").write_bytes(encoded(np.zeros(800)))
    file = write("results.jsonl", results("one two", entries=ENTRIES[:1]))
    report = tmp_path / "report.html"
    assert main(["evaluate", f"--scored=it={file}", f"--report={report}", "--embed-audio"]) == 0
    assert "data:audio/flac;base64," in report.read_text()


@pytest.mark.parametrize("option", ["--report", "--output"])
def test_an_output_may_not_be_a_file_that_is_scored(write, capsys, option):
    file = write("results.jsonl", results("one", "three", "five"))
    manifest = write("m.jsonl", ENTRIES)
    command = ["evaluate", f"--scored=a={file}", f"--manifest={manifest}", f"{option}={file}"]
    assert main(command) == 1
    assert "is the input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--scored", "results.jsonl"], "'results.jsonl': expected NAME=FILE or NAME:FIELD=FILE"),
        (["--scored", "=a"], "expected NAME=FILE"),
        (["--scored", "a=b", "--scored", "a=c"], "several are named a"),
        (["--scored", "a=b", "--nbest", "3"], "unrecognized arguments: --nbest"),
        (["--scored", "a=b", "--system", "c=greedy"], "--model: is missing"),
        (["--scored", "a=b", "--decoder", "greedy"], "--decoder: is for one system"),
        (["--model", "demo"], "--manifest: is missing"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(arguments, says, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["evaluate", *arguments])
    assert raised.value.code == 2
    assert says in capsys.readouterr().err


def test_the_path_of_texts_may_be_a_string(write):
    path = write("r.jsonl", results("one two", "three", "for"))
    found = evaluate(ENTRIES, [System("it", scored=Scored(str(path)))])
    assert found.scores[0].words.errors == 1
