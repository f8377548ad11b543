"""``evaluate`` as a whole: the real Triton, the demo's model, language model and clips, and AN4."""

import json
import shutil

import pytest
from tritonclient.grpc import InferenceServerClient

from client.__main__ import main
from demo.paths import DEMO, SPEECH_DATA
from server import EmbeddedServer, ServerOptions, free_ports
from tests.needs import needs_speech

CLIPS = DEMO / "clips" / "manifest.jsonl"
LM = DEMO / "lm.arpa.gz"
PRESET = DEMO / "beam.json"
AN4 = SPEECH_DATA / "an4" / "test_manifest.json"
NOTEBOOK = f"notebook=lm={LM},alpha=2,beta=1.5,beam_width=32"
SYSTEMS = ["--system", "greedy", "--system", f"tuned={PRESET}", "--system", NOTEBOOK]

needs_an4 = needs_speech(AN4)


@pytest.fixture
def evaluate(server_url, capsys):
    """Runs the command on the demo's model; gives what it printed, as JSON where that was asked."""

    def run(*arguments, manifest=CLIPS, status=0):
        command = ["evaluate", "--model", "demo", "--manifest", manifest]
        if "--url" not in arguments:
            command += ["--url", server_url]
        assert main([*map(str, command), *map(str, arguments)]) == status
        out = capsys.readouterr().out
        return json.loads(out) if "json" in arguments else out

    return run


def answered(url):
    """How many requests the server has answered for the demo."""
    client = InferenceServerClient(url)
    statistics = client.get_inference_statistics("demo")
    client.close()
    return sum(model.inference_stats.success.count for model in statistics.model_stats)


@needs_an4
def test_four_systems_make_the_known_errors_on_an4(evaluate):
    narrow = f"narrow={PRESET},beam_width=10"
    report = evaluate(*SYSTEMS, "--system", narrow, "--format", "json", manifest=AN4)
    errors = {each["name"]: each["words"] for each in report["systems"]}
    assert {counts["reference"] for counts in errors.values()} == {773}
    wrong = {
        name: counts["substitutions"] + counts["deletions"] + counts["insertions"]
        for name, counts in errors.items()
    }
    assert (wrong["greedy"], wrong["notebook"], wrong["tuned"]) == (65, 75, 49)
    assert errors["notebook"]["deletions"] > errors["greedy"]["deletions"]
    tuned, notebook, _ = report["differences"]
    assert tuned["wer"] == pytest.approx(-16 / 773)
    assert tuned["interval"][1] < 0
    assert tuned["p_value"] < 0.05 < notebook["p_value"]


def test_several_systems_cost_one_acoustic_pass(evaluate, server_url):
    before = answered(server_url)
    report = evaluate(*SYSTEMS, "--format", "json")
    assert answered(server_url) - before == report["utterances"] == 16
    alone = evaluate("--format", "json")
    assert alone["words"] == report["systems"][0]["words"]
    alone = evaluate("--decoder-config", PRESET, "--format", "json")
    assert alone["words"] == report["systems"][1]["words"]


def test_kept_outputs_are_decoded_without_another_pass(evaluate, server_url, tmp_path):
    cache = ["--cache", tmp_path, "--format", "json"]
    first = evaluate(*cache)
    before = answered(server_url)
    again = evaluate(*cache, "--decoder", "greedy")
    assert answered(server_url) == before
    assert again["results"] == first["results"]


def test_nothing_is_left_behind(evaluate, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    evaluate()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_processes_and_thread_decode_the_same(evaluate, tmp_path):
    cache = ["--cache", tmp_path]  # what is heard differs by rounding, as batches form
    reports = [evaluate(*SYSTEMS, *cache, "--threads", each, "--format", "json") for each in (0, 2)]
    assert reports[0]["results"] == reports[1]["results"]


def test_people_see_systems_and_texts_under_each_other(evaluate):
    text = evaluate(*SYSTEMS, "--show-errors", "2")
    for fact in ("notebook", "WER minus greedy's", "16 utterances, 0 failed; 119 words"):
        assert fact in text
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("clip_"))
    names = [line.split()[0] for line in lines[start + 1 : start + 5]]
    assert names == ["reference", "greedy", "tuned", "notebook"]
    assert "more wrong utterances" in lines[-1]


def test_normalisation_makes_written_references_comparable(evaluate, tmp_path):
    entries = [json.loads(line) for line in CLIPS.read_text().splitlines()]
    for entry in entries:
        entry["audio_filepath"] = str(CLIPS.parent / entry["audio_filepath"])
        entry["text"] = entry["text"].capitalize() + "."
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("\n".join(map(json.dumps, entries)))
    written = evaluate("--format", "json", manifest=manifest)
    steps = ["--normalize", "lower,punctuation"]
    normalized = evaluate(*steps, "--format", "json", manifest=manifest)
    plain = evaluate("--format", "json")
    assert normalized["words"] == plain["words"]
    loss = normalized["models"]["demo"]["ctc_loss"]
    assert loss == pytest.approx(plain["models"]["demo"]["ctc_loss"], rel=1e-3)
    assert written["wer"] > plain["wer"] + 0.1
    assert written["models"]["demo"]["ctc_loss"] is None


def test_a_report_is_written_with_what_the_model_heard(evaluate, tmp_path):
    report = tmp_path / "report.html"
    evaluate(*SYSTEMS, "--report", report)
    linked = report.read_text()
    assert "notebook" in linked
    assert "data:image/png" in linked  # spectrograms and posteriorgrams
    evaluate(*SYSTEMS, "--report", report, "--embed-audio")
    assert len(report.read_text()) > len(linked)


def test_a_bad_recording_is_no_one_elses_failure(evaluate, tmp_path):
    good = str(CLIPS.parent / "clip_02.flac")
    texts = {good: "two ninety one fifty six", "gone.flac": "one", "bad.wav": "two"}
    (tmp_path / "bad.wav").write_bytes(b"RIFF and no more")
    manifest = tmp_path / "m.jsonl"
    lines = [json.dumps({"audio_filepath": path, "text": text}) for path, text in texts.items()]
    manifest.write_text("\n".join([*lines, "{"]))
    report = evaluate("--format", "json", manifest=manifest, status=1)
    assert (report["utterances"], report["wer"]) == (1, 0)
    assert [each["line"] for each in report["failures"]] == [2, 3, 4]


def test_a_report_tells_that_nothing_could_be_transcribed(evaluate, tmp_path):
    manifest, report = tmp_path / "m.jsonl", tmp_path / "report.html"
    manifest.write_text('{"audio_filepath": "gone.wav", "text": "one"}\n')
    evaluate("--report", report, manifest=manifest, status=1)
    assert "gone.wav" in report.read_text()


def test_a_preset_for_another_checkpoint_is_warned_of(server_url, tmp_path, capsys):
    preset = json.loads(PRESET.read_text()) | {"checkpoint_sha256": "0" * 64}
    preset["options"]["lm"] = str(LM)
    (tmp_path / "other.json").write_text(json.dumps(preset))
    command = ["evaluate", "--url", server_url, "--model", "demo", "--manifest", str(CLIPS)]
    assert main([*command, "--system", f"mine={tmp_path / 'other.json'}"]) == 0
    assert "the preset of mine was tuned for another checkpoint" in capsys.readouterr().err
    assert main([*command, "--system", f"mine={PRESET}"]) == 0
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def url_of_two(demo_repository, tmp_path_factory):
    """A server that has the demo under another name too."""
    repository = tmp_path_factory.mktemp("two") / "repository"
    shutil.copytree(demo_repository, repository)
    shutil.copytree(repository / "demo", repository / "twin")
    config = repository / "twin" / "config.pbtxt"
    config.write_text(config.read_text().replace('name: "demo"', 'name: "twin"', 1))
    with EmbeddedServer(ServerOptions(repository, **free_ports())) as server:
        yield server.grpc_url


def test_systems_may_be_of_several_models(evaluate, url_of_two):
    twin = ["--url", url_of_two, "--system", "greedy", "--system", "twin=greedy,model=twin"]
    report = evaluate(*twin, "--format", "json")
    assert [each["model"] for each in report["systems"]] == ["demo", "twin"]
    assert report["systems"][0]["words"] == report["systems"][1]["words"]
    assert set(report["models"]) == {"demo", "twin"}
    assert report["differences"][0]["p_value"] == 1
    unknown = ["--system", "greedy", "--system", "b=greedy,model=dmo", "--url", url_of_two]
    assert evaluate(*unknown, status=1) == ""
