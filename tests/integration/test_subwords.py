"""A trained subword model goes through everything: export, verification, Triton, both decoders.

The model is the variant of the demo that ``make train-subwords`` trains.
"""

import json
import subprocess

import pytest

from client import BeamOptions, Transcriber
from client.__main__ import main
from client.evaluation.metrics import word_errors
from client.manifests.manifest import read_manifest
from client.wire.contract import Contract
from demo.paths import DEMO, SPEECH_DATA
from server import EmbeddedServer, ServerOptions, free_ports
from tests.conftest import ASSETS
from tests.needs import needs_speech

NAME = "subwords"
CHECKPOINT = ASSETS / "subwords.nemo"
EXPORT_PYTHON = DEMO.parent / ".venv-export" / "bin" / "python"
AN4 = SPEECH_DATA / "an4"
CLIPS = DEMO / "clips" / "manifest.jsonl"
LANGUAGE_MODEL = DEMO / "lm.arpa.gz"
WEIGHTS = {"alpha": 0.5, "beta": 1.5}  # the best of demo.choose_weights' grid on AN4's dev list

needs_an4 = needs_speech(AN4)


def export_command(command, repository, *more):
    arguments = ["--checkpoint", CHECKPOINT, "--name", NAME, "--repository", repository, *more]
    return subprocess.run(
        [EXPORT_PYTHON, "-m", "export", command, *map(str, arguments)],
        cwd=DEMO.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("subwords") / "repository"
    done = export_command("build", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def url(repository):
    with EmbeddedServer(ServerOptions(repository, **free_ports())) as server:
        yield server.grpc_url


@pytest.fixture(scope="module")
def contract(url) -> Contract:
    with Transcriber(url, NAME) as transcriber:
        return transcriber.contract


def transcripts(url, manifest, beam=None):
    """What was said and what was heard, utterance by utterance."""
    entries = list(read_manifest(manifest))
    with Transcriber(url, NAME, decoder=beam) as transcriber:
        results = list(transcriber.transcribe(entry.item for entry in entries))
    return [entry.fields["text"] for entry in entries], [
        result.transcript.text for result in results
    ]


def test_clients_are_told_the_pieces(contract):
    assert contract.vocabulary_kind == "sentencepiece"
    assert contract.vocabulary[0] == "<unk>"
    assert "▁" in contract.vocabulary  # alone, where pyctcdecode stumbles
    assert {"▁seven", "▁s"} <= set(contract.vocabulary)
    assert contract.blank == len(contract.vocabulary)


def test_verification_finds_nemos_text_on_every_utterance(repository, url):
    manifest = AN4 / "test_manifest.json" if AN4.exists() else CLIPS
    done = export_command("verify", repository, "--url", url, "--manifest", manifest)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_an4
def test_greedy_errs_in_at_most_twelve_percent_of_an4s_words(url):
    references, heard = transcripts(url, AN4 / "test_manifest.json")
    assert word_errors(references, heard).rate <= 0.12


@needs_an4
@pytest.mark.parametrize("split", ["dev", "test"])
def test_beam_search_with_words_errs_less_than_greedy(url, split):
    manifest = AN4 / f"{split}_manifest.json"
    references, greedy = transcripts(url, manifest)
    _, beam = transcripts(url, manifest, BeamOptions(LANGUAGE_MODEL, **WEIGHTS))
    assert word_errors(references, beam).errors < word_errors(references, greedy).errors


@pytest.mark.parametrize(
    "beam", [None, BeamOptions(LANGUAGE_MODEL, **WEIGHTS)], ids=["greedy", "beam"]
)
def test_transcripts_are_words(url, beam):
    """Greedy text is NeMo's, white space included; a beam search's has one space between words."""
    _, heard = transcripts(url, CLIPS, beam)
    assert all(heard)
    for text in heard:
        assert beam is None or text == " ".join(text.split())
        assert "▁" not in text


def test_the_command_line_transcribes_and_evaluates(url, tmp_path, capsys):
    decoding = ["--decoder", "beam", "--lm", str(LANGUAGE_MODEL), "--alpha", "0.5", "--beta", "1.5"]
    server = ["--url", url, "--model", NAME, "--manifest", str(CLIPS)]
    output = tmp_path / "out.jsonl"
    assert main(["transcribe", *server, "--format", "jsonl", "--output", str(output)]) == 0
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    capsys.readouterr()
    assert main(["evaluate", *server, *decoding, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["utterances"] == len(lines) == len(CLIPS.read_text().splitlines())
    assert report["wer"] < 0.2
    assert all(line["pred_text"] for line in lines)


@needs_an4
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_reduced_precision_is_as_good_on_real_speech(precision, tmp_path):
    options = ["--precision", precision, "--manifest", AN4 / "test_manifest.json"]
    if precision == "int8":
        options += ["--calibration-manifest", AN4 / "train_manifest.json"]
    done = export_command("build", tmp_path / "repository", "--without-triton", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"verification in {precision}: passed" in done.stdout
