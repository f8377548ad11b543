"""``python -m benchmarks wire``: variants on the real server, counted bytes, and the command."""

import json

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.errors import LoadError, ModelError
from benchmarks.load.target import embedded
from benchmarks.wire.caller import Caller
from benchmarks.wire.costs import Block, Extra, bytes_of, summarise
from benchmarks.wire.graphs import FRAMES_KEPT, LARGE_VOCABULARY
from benchmarks.wire.padding import summarise as summarise_padding
from benchmarks.wire.relay import Relay
from benchmarks.wire.tables import cost_cells
from benchmarks.wire.variants import LARGE, LARGE_HALF, write_variants
from benchmarks.wire.ways import BEAM, GREEDY, PARTS, Way
from client.audio import load_audio
from client.decoding import GreedyDecoder, GreedyOptions
from client.wire.contract import LOG_PROBS, LOG_PROBS_LENGTH, TOKENS
from client.wire.transport import Exchange, TritonTransport
from demo.paths import DEMO
from server.launcher import SHARED_MEMORY

CLIPS = DEMO / "clips" / "manifest.jsonl"
HEADERS = 1_000  # of HTTP/2 and gRPC, bytes at most for a request or a reply
OWN_WAYS = {way.name: way for way in (*PARTS["request"], *PARTS["reply"])}


@pytest.fixture(scope="module")
def target(demo_repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("variants")
    write_variants(demo_repository, "demo", folder)
    with embedded(folder, "demo", gpu=False) as target:
        yield target


@pytest.fixture(scope="module")
def samples():
    line = json.loads(CLIPS.read_text(encoding="utf-8").splitlines()[0])
    return load_audio(CLIPS.parent / line["audio_filepath"], 16000)


@pytest.fixture(scope="module")
def served(target, samples):
    """The model's own reply, through the project's client, and its text."""
    transport = TritonTransport(target.url, "demo")
    try:
        log_probs = transport.submit(samples, LOG_PROBS).result()
        return log_probs, _text(transport.contract, log_probs)
    finally:
        transport.close()


def _text(contract, log_probs):
    return GreedyDecoder(contract, GreedyOptions(confidence=True)).decode(log_probs).text


def _call(target, way, samples):
    with Caller(target.url, "demo", way) as caller:
        return caller.call(caller.prepare(samples))


@pytest.mark.parametrize("name", OWN_WAYS)
def test_every_way_gives_the_same_text(target, samples, served, name):
    transport = TritonTransport(target.url, "demo")
    transport.close()
    reply = _call(target, OWN_WAYS[name], samples)
    assert set(reply) == set(OWN_WAYS[name].outputs)
    own = int(reply[LOG_PROBS_LENGTH][0, 0])
    log_probs, text = served
    assert own == len(log_probs)
    assert text
    if TOKENS in reply:
        tokens = reply[TOKENS][0, :own]
        assert GreedyDecoder(transport.contract).decode(tokens).text == text
    if LOG_PROBS in reply:
        assert reply[LOG_PROBS].dtype == np.float32
        assert _text(transport.contract, reply[LOG_PROBS][0, :own]) == text


def test_float_audio_is_the_same_audio(target, samples, served):
    reply = _call(target, Way("float", BEAM, variant="float"), samples)
    assert np.array_equal(reply[LOG_PROBS][0], served[0])


def test_half_log_probs_are_those_of_the_model_rounded(target, samples, served):
    reply = _call(target, Way("half", BEAM, variant="half"), samples)
    assert np.array_equal(reply[LOG_PROBS][0], served[0].astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("variant", [LARGE, LARGE_HALF])
def test_large_replies_are_the_models_own_repeated(target, samples, served, variant):
    reply = _call(target, Way("large", PARTS["large"][2].outputs, variant=variant), samples)
    few = served[0][::FRAMES_KEPT]
    assert reply[LOG_PROBS].shape == (1, len(few), LARGE_VOCABULARY)
    assert reply[LOG_PROBS_LENGTH].tolist() == [[len(few)]]
    assert np.allclose(reply[LOG_PROBS][0, :, : few.shape[1]], few, rtol=1e-3)
    assert np.array_equal(reply[TOKENS][0], few.argmax(axis=1))


def test_bytes_are_those_of_the_tensors_and_little_more(target, samples, served):
    frames, columns = served[0].shape
    lengths = {name: bytes_of(target, way, samples) for name, way in OWN_WAYS.items()}
    payloads = {
        "tokens": (2 * len(samples), 4 * frames),
        "FP32 audio": (4 * len(samples), 4 * frames),
        "log_probs": (2 * len(samples), 4 * frames * columns),
        "FP16 log_probs": (2 * len(samples), 2 * frames * columns),
        "log_probs and tokens": (2 * len(samples), 4 * frames * (columns + 1)),
        "shared audio": (0, 4 * frames),
        "shared log_probs": (2 * len(samples), 0),
        "shared audio and log_probs": (0, 0),
    }
    for name, expected in payloads.items():
        for counted, payload in zip(lengths[name], expected, strict=True):
            assert payload < counted < payload + HEADERS, name
    assert lengths["gzip"][0] < lengths["tokens"][0]
    assert lengths["deflate"][0] < lengths["tokens"][0]


def test_shared_memory_is_given_back(target, samples):
    before = {path.name for path in SHARED_MEMORY.iterdir()}
    _call(target, OWN_WAYS["shared audio and log_probs"], samples)
    left = {path.name for path in SHARED_MEMORY.iterdir()} - before
    assert not {name for name in left if name.startswith("wire_")}


def test_a_server_that_refuses_is_said(target, samples):
    with pytest.raises(LoadError, match="a single request failed"):
        _call(target, Way("no such", ("nothing",)), samples)


def test_an_unknown_model_is_said_before_anything_is_written(demo_repository, tmp_path):
    with pytest.raises(ModelError, match="no model 'nobody'"):
        write_variants(demo_repository, "nobody", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_relay_counts_both_ways(target):
    with Relay(target.url) as relay:
        transport = TritonTransport(relay.url, "demo")
        transport.close()
    assert relay.sent_bytes > 0
    assert relay.received_bytes > len(transport.contract.to_json())


def test_differences_are_taken_within_a_round():
    ways = [Way("one", GREEDY), Way("other", GREEDY, "one")]
    slow = [1.0, 100.0, 3.0]
    blocks = {
        "one": [Block(ms, 1.0, 5.0, 2.0) for ms in slow],
        "other": [Block(ms + 0.5, 1.0, 5.0, 2.0) for ms in slow],
    }
    one, other = summarise(ways, {"one": (200, 20), "other": (400, 40)}, blocks, audio_s=2.0)
    assert (one.latency_ms, one.extra) == (3.0, {})
    assert (other.sent_bytes_per_s, other.received_bytes_per_s) == (200.0, 20.0)
    assert other.extra["latency_ms"] == Extra(0.5, 0.5, 0.5)
    assert cost_cells([one, other])["more latency"] == ["-", "+0.5 (0.5 … 0.5)"]


def test_padding_is_the_share_of_the_replies_bytes():
    exchanges = [
        Exchange(0.0, 1.0, request_bytes=100, reply_bytes=50, frames=4, batch_frames=10),
        Exchange(0.0, 1.0, request_bytes=300, reply_bytes=50, frames=10, batch_frames=10),
    ]
    found = summarise_padding(exchanges, "demo", TOKENS, frame_bytes=4, audio_s=2.0)
    assert found.request_bytes_per_s == 200
    assert found.reply_bytes_per_s == 50
    assert found.padding_share == pytest.approx(6 * 4 / 100)


def test_the_command_writes_every_part_and_a_table(demo_repository, tmp_path, capsys):
    output = tmp_path / "wire.json"
    arguments = ["wire", "--repository", str(demo_repository), "--model", "demo"]
    arguments += ["--manifest", str(CLIPS), "--seconds", "1", "--rounds", "1", "--requests", "1"]
    arguments += ["--utterances", "6", "--in-flight", "4", "--output", str(output)]
    assert main(arguments) == 0
    document = json.loads(output.read_text(encoding="utf-8"))
    for part, ways in PARTS.items():
        assert [each["name"] for each in document[part]] == [way.name for way in ways]
    assert {each["errors"] for each in document["accuracy"]} == {document["accuracy"][0]["errors"]}
    assert [each["requests"] for each in document["padding"]] == [6, 6, 6]
    assert {"date", "command", "cpu", "packages", "settings"} <= set(document)
    assert "| FP32 audio |" in output.with_suffix(".md").read_text(encoding="utf-8")
    assert "padding in replies" in capsys.readouterr().out
