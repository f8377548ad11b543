"""A trained subword model goes through everything: export, verification, Triton, both decoders.

The model is the variant of the demo that ``make train-subwords`` trains.
"""

import json
import subprocess
from dataclasses import dataclass

import pytest

from benchmarks.recordings.sessions import Joining, join, load_utterances
from client import BeamOptions, SegmentationOptions, Transcriber, TransportOptions
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


@dataclass
class Run:
    """Results, how many replies they took, and the bytes of those for a second of audio."""

    results: list
    replies: int
    bytes_per_s: float


def run(url, items, beam, model=NAME, **options):
    exchanges = []
    told = TransportOptions(observer=exchanges.append)
    with Transcriber(url, model, decoder=beam, options=told, **options) as transcriber:
        results = list(transcriber.transcribe(items))
    duration_s = sum(result.duration_s for result in results)
    reply_bytes = sum(exchange.reply_bytes for exchange in exchanges)
    return Run(results, len(exchanges), reply_bytes / duration_s)


def assert_same(some, others):
    """The same texts, tokens and times; scores to float rounding, as requests meet in batches."""
    for ours, theirs in zip(some.results, others.results, strict=True):
        one, other = ours.unwrap(), theirs.unwrap()
        assert one.text == other.text
        assert one.tokens == other.tokens
        assert [hypothesis.text for hypothesis in one.nbest] == [
            hypothesis.text for hypothesis in other.nbest
        ]
        assert [hypothesis.score for hypothesis in one.nbest] == pytest.approx(
            [hypothesis.score for hypothesis in other.nbest], abs=1e-3
        )
        for word, same in zip(one.words, other.words, strict=True):
            assert (word.text, word.start_s, word.end_s) == (same.text, same.start_s, same.end_s)
            assert word.confidence == pytest.approx(same.confidence, abs=1e-3)


@pytest.mark.parametrize("lm", [None, LANGUAGE_MODEL], ids=["alone", "with words"])
def test_best_tokens_make_the_transcripts_of_all_log_probs(url, contract, lm):
    assert contract.top_k == 16
    items = [entry.item for entry in read_manifest(CLIPS)]
    beam = BeamOptions(lm, **WEIGHTS, nbest=3)
    small, everything = (run(url, items, beam, log_probs=keep) for keep in (False, True))
    assert_same(small, everything)
    assert len(items) <= small.replies < 1.5 * len(items)
    assert everything.replies == len(items)
    assert small.bytes_per_s < 0.6 * everything.bytes_per_s


def test_too_few_for_a_low_threshold_are_followed_by_all(url):
    items = [entry.item for entry in read_manifest(CLIPS)]
    beam = BeamOptions(LANGUAGE_MODEL, **WEIGHTS, nbest=3, token_min_logp=-12.0)
    small, everything = (run(url, items, beam, log_probs=keep) for keep in (False, True))
    assert small.replies > len(items)
    assert_same(small, everything)


@pytest.mark.parametrize("token_min_logp", [-5.0, -8.0])
def test_windows_of_both_kinds_are_stitched(url, token_min_logp):
    session = join(load_utterances(CLIPS, 16000), Joining(16000, (0.7, 1.3)))  # 66 s
    beam = BeamOptions(LANGUAGE_MODEL, **WEIGHTS, nbest=3, token_min_logp=token_min_logp)
    cut = SegmentationOptions(window_s=4.0, overlap_s=1.0)
    small, everything = (
        run(url, [session.samples], beam, segmentation=cut, log_probs=keep)
        for keep in (False, True)
    )
    assert everything.replies < small.replies < 2 * everything.replies
    assert_same(small, everything)


def test_a_model_without_best_tokens_is_asked_for_log_probs(server_url):
    """Its characters are so few that they would be no smaller."""
    items = [entry.item for entry in read_manifest(CLIPS)]
    beam = BeamOptions(LANGUAGE_MODEL, **WEIGHTS)
    with Transcriber(server_url, "demo") as transcriber:
        assert transcriber.contract.top_k is None
    found = run(server_url, items, beam, model="demo")
    assert found.replies == len(items)
    assert_same(found, run(server_url, items, beam, model="demo", log_probs=True))


@needs_an4
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_reduced_precision_is_as_good_on_real_speech(precision, tmp_path):
    options = ["--precision", precision, "--manifest", AN4 / "test_manifest.json"]
    if precision == "int8":
        options += ["--calibration-manifest", AN4 / "train_manifest.json"]
    done = export_command("build", tmp_path / "repository", "--without-triton", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"verification in {precision}: passed" in done.stdout
