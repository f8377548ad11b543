"""The Node.js client against the real Triton: the same texts, words and errors as the Python one.

And ``docs/wire.md``, which it is written from: the page's examples are sent as they stand there.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import threading
import time
from dataclasses import asdict, replace
from operator import setitem
from pathlib import Path

import grpc
import numpy as np
import pytest
import soundfile
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from tritonclient.grpc import InferenceServerClient, service_pb2, service_pb2_grpc

import demo
from client import GreedyOptions, Transcriber
from client.decoding.runs import runs_of_best_tokens
from client.manifests.manifest import read_manifest
from client.vocabulary import Detokenizer
from client.wire.contract import Contract
from export.configure import reconfigure
from export.serving import throughput
from server import EmbeddedServer, ServerOptions, free_ports
from tests.client.support import CONTRACT, infer_reply, scripted_server

PROJECT = Path(demo.__file__).parents[1]
SOURCE = PROJECT / "client" / "node"
WIRE = (PROJECT / "docs" / "wire.md").read_text()
MANIFEST = PROJECT / "demo" / "clips" / "manifest.jsonl"


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    """A copy of the client with its packages."""
    folder = tmp_path_factory.mktemp("node") / "client"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("node_modules"))
    done = run(folder, "npm", "ci", "--prefer-offline", "--no-audit", "--fetch-retries=1")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """The demo's clips as WAV files, in order."""
    folder = tmp_path_factory.mktemp("wav")
    paths = []
    for entry in read_manifest(MANIFEST):
        samples, rate_hz = soundfile.read(entry.item.source, dtype="int16")
        paths.append(folder / f"{Path(entry.item.source).stem}.wav")
        soundfile.write(paths[-1], samples, rate_hz)
    return paths


@pytest.fixture(scope="session")
def transcripts(server_url, recordings):
    """What the Python client makes of them."""
    nemos = GreedyOptions(exact_nemo_text=True)  # which is the page's
    with Transcriber(server_url, "demo", decoder=nemos) as transcriber:
        return [result.transcript for result in transcriber.transcribe(recordings)]


def run(folder, *command, **environment):
    command = list(map(str, command))
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | environment,
    )


def transcribe(client, url, paths, *more, model="demo"):
    return run(client, "node", "transcribe.js", "--url", url, "--model", model, *more, *paths)


def run_script(folder, script, argument):
    """Run an ES module that prints JSON, given ``argument`` as ``input``."""
    script = f"const input = JSON.parse(process.argv[1]);\n{script}"
    return run(folder, "node", "--input-type=module", "--eval", script, json.dumps(argument))


def output_of(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def lines(paths, texts):
    return [f"{path}\t{text}" for path, text in zip(paths, texts, strict=True)]


def texts_of(transcripts):
    return [transcript.text for transcript in transcripts]


@pytest.mark.parametrize("in_flight", ["1", "16"])
def test_texts_are_the_python_clients(client, server_url, recordings, transcripts, in_flight):
    done = transcribe(client, server_url, recordings, "--in-flight", in_flight)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == lines(recordings, texts_of(transcripts))


def test_a_proxy_of_the_environment_is_named_and_this_machine_reached_without(
    client, server_url, recordings, transcripts
):
    arguments = ("node", "transcribe.js", "--model", "demo", "--timeout", "20", recordings[0])
    dead = "http://127.0.0.1:1"
    here = run(client, *arguments, "--url", server_url, grpc_proxy=dead)
    assert here.stdout.splitlines() == lines(recordings[:1], texts_of(transcripts[:1]))
    away = run(client, *arguments, "--url", "asr.invalid:8001", grpc_proxy=dead)
    assert away.returncode == 1
    assert "variable grpc_proxy names a proxy" in away.stderr
    assert "no_proxy" in away.stderr


PROXIES = """
import { proxyVariable } from "./proxy.js";
import { mapProxyName } from "@grpc/grpc-js/build/src/http_proxy.js";
import { parseUri } from "@grpc/grpc-js/build/src/uri-parser.js";
const target = (url) => parseUri(url.includes("dns:") ? url : `dns:${url}`);
const found = input.map(([environment, url]) => {
  const set = Object.keys(process.env).filter((name) => name.endsWith("_proxy"));
  for (const name of set) delete process.env[name];
  Object.assign(process.env, environment);
  const ours = proxyVariable(url) ?? null;
  return [ours, "grpc.http_connect_target" in mapProxyName(target(url), {}).extraOptions];
});
console.log(JSON.stringify(found));
"""


def test_the_proxy_that_is_named_is_the_one_that_grpc_goes_through(client):
    a, b = "http://127.0.0.1:1", "http://127.0.0.1:2"
    server = "asr.example:8001"
    cases = [
        ({}, server, None),
        ({"http_proxy": a}, server, "http_proxy"),
        ({"http_proxy": a, "https_proxy": b}, server, "https_proxy"),
        ({"http_proxy": a}, "dns:///asr.example:8001", "http_proxy"),
        ({"http_proxy": "socks5://127.0.0.1:1"}, server, None),
        ({"http_proxy": a, "no_proxy": "asr.example"}, server, None),
        ({"http_proxy": a, "no_proxy": "other,.example"}, server, None),
        ({"http_proxy": a, "no_proxy": "asr.example"}, "dns:///asr.example:8001", None),
        ({"http_proxy": a, "no_proxy": "other"}, server, "http_proxy"),
        ({"http_proxy": a, "no_proxy": "asr.example", "no_grpc_proxy": "x"}, server, "http_proxy"),
        ({"http_proxy": a, "no_proxy": "10.0.0.0/8"}, "10.1.2.3:8001", None),
        ({"http_proxy": a, "no_proxy": "10.0.0.0/8"}, "11.1.2.3:8001", "http_proxy"),
        ({"http_proxy": a, "no_proxy": "10.0.0.0/99"}, "10.1.2.3:8001", "http_proxy"),
        ({"http_proxy": a, "no_proxy": "fd00::1"}, "[fd00::1]:8001", None),
    ]
    found = output_of(run_script(client, PROXIES, [case[:2] for case in cases]))
    assert found == [[variable, variable is not None] for *_, variable in cases]


def test_no_proxy_is_blamed_that_the_connection_does_not_go_through(client, recordings):
    arguments = ("node", "transcribe.js", "--model", "demo", "--timeout", "20", recordings[0])
    url = "asr.invalid:8001"
    environment = {"grpc_proxy": "http://127.0.0.1:1", "no_proxy": "asr.invalid"}
    away = run(client, *arguments, "--url", url, **environment)
    assert away.returncode == 1
    assert "UNAVAILABLE" in away.stderr
    assert "proxy" not in away.stderr


RECOGNISE = """
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { Transcriber } from "./client.js";
import { readWav } from "./wav.js";
const { url, paths, certificate, headers } = input;
const credentials = certificate && grpc.credentials.createSsl(readFileSync(certificate));
const metadata = grpc.Metadata.fromHttp2Headers(headers ?? {});
const transcriber = await Transcriber.connect(url, "demo", { credentials, metadata });
const recognise = async (path) =>
  transcriber.transcribe(await readWav(path, transcriber.contract));
console.log(JSON.stringify(await Promise.all(paths.map(recognise))));
transcriber.close();
"""


def test_words_and_their_times_are_the_python_clients(client, server_url, recordings, transcripts):
    argument = {"url": server_url, "paths": list(map(str, recordings))}
    heard = output_of(run_script(client, RECOGNISE, argument))
    for transcript, other in zip(transcripts, heard, strict=True):
        words = [(word.text, word.start_s, word.end_s) for word in transcript.words]
        assert [(w["word"], w["start"], w["end"]) for w in other["words"]] == words


TEXTS = """
import { Detokenizer, collapse } from "./text.js";
const detokenizer = new Detokenizer(input.vocabulary, input.kind);
const heard = input.cases.map((frames) => {
  const runs = collapse(frames, input.vocabulary.length);
  const tokens = runs.map(({ token }) => token);
  const words = detokenizer.words(tokens).map(({ word, first, last }) => [word, first, last]);
  const spans = runs.map(({ token, start, end }) => [token, start, end]);
  return [spans, detokenizer.text(tokens), words];
});
console.log(JSON.stringify(heard));
"""


@pytest.mark.parametrize("kind", ["char", "sentencepiece"])
def test_any_tokens_become_the_python_clients_text(kind):
    space = " " if kind == "char" else "▁"
    vocabulary = ["<unk>", space, *"a b. 's ▁a ▁! , é \U0001d4b3 [?] ##- ]".split()]
    random = np.random.default_rng(6)
    frames = random.choice(len(vocabulary) + 1, (500, 24), p=[0.06] + [0.2] + [0.74 / 12] * 12)
    detokenizer, expected = Detokenizer(vocabulary, kind), []
    for best in frames:
        runs = runs_of_best_tokens(best, len(vocabulary))
        spans = [list(span) for span in zip(runs.tokens, runs.starts, runs.ends, strict=True)]
        words = list(map(list, detokenizer.words(runs.tokens)))
        expected.append([spans, detokenizer.text(runs.tokens), words])
    argument = {"vocabulary": vocabulary, "kind": kind, "cases": frames.tolist()}
    assert output_of(run_script(SOURCE, TEXTS, argument)) == expected


def write_bad_files(folder, good):
    """Files that are not for this model, and what is said of each."""
    samples, rate_hz = soundfile.read(good, dtype="int16")
    whole = good.read_bytes()
    soundfile.write(folder / "slow.wav", samples, 8000)
    soundfile.write(folder / "stereo.wav", np.stack([samples, samples], axis=1), rate_hz)
    soundfile.write(folder / "float.wav", samples / 32768, rate_hz, subtype="FLOAT")
    soundfile.write(folder / "short.wav", samples[:319], rate_hz)
    soundfile.write(folder / "long.wav", np.zeros(1_920_001, np.int16), rate_hz)
    soundfile.write(folder / "huge.wav", np.zeros(3_000_000, np.int16), rate_hz)
    soundfile.write(folder / "other.wav", samples, rate_hz, format="FLAC")
    (folder / "truncated.wav").write_bytes(whole[:-2])
    (folder / "header.wav").write_bytes(whole[:40])
    (folder / "forged.wav").write_bytes(whole[:16] + b"\xff\xff\xff\xff" + whole[20:])
    (folder / "empty.wav").write_bytes(b"")
    (folder / "folder.wav").mkdir()
    return {
        "slow.wav": "8000 Hz; expected",
        "stereo.wav": "2 channel",
        "float.wav": "32-bit, encoding 3",
        "short.wav": "0.020 s to 120.000 s",
        "long.wav": "120.000 s long",
        "huge.wav": "6000044 bytes",
        "other.wav": "not WAV",
        "truncated.wav": "2 bytes of samples are missing",
        "header.wav": "damaged",
        "forged.wav": "damaged",
        "empty.wav": "damaged",
        "folder.wav": "not a file",
        "gone.wav": "ENOENT",
    }


def test_bad_files_are_one_error_each_and_lose_nothing_else(
    client, server_url, recordings, transcripts, tmp_path
):
    bad = write_bad_files(tmp_path, recordings[0])
    paths, expected = [], []
    for path, text, name in zip(recordings, texts_of(transcripts), bad, strict=False):
        paths += [tmp_path / name, path]
        expected += ["", text]
    done = transcribe(client, server_url, paths)
    assert done.returncode == 1
    assert done.stdout.splitlines() == lines(paths, expected)
    said = done.stderr.splitlines()
    assert len(said) == len(bad)
    for line, (name, reason) in zip(said, bad.items(), strict=True):
        assert line.startswith(f"error: {tmp_path / name}: ")
        assert reason in line


def test_longest_and_shortest_utterances_and_extensible_headers_are_taken(
    client, server_url, tmp_path
):
    paths = [tmp_path / name for name in ("shortest.wav", "longest.wav", "extensible.wav")]
    for path, n_samples in zip(paths, (320, 1_920_000, 16_000), strict=True):
        extensible = path.stem == "extensible"
        kind = "WAVEX" if extensible else "WAV"
        soundfile.write(path, np.zeros(n_samples, np.int16), 16_000, format=kind)
    done = transcribe(client, server_url, paths)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("model", "says"), [("dmo", "NOT_FOUND.*'dmo'"), ("demo_encoder", "carries no contract")]
)
def test_a_model_that_is_not_there_is_a_clear_error(client, server_url, recordings, model, says):
    done = transcribe(client, server_url, recordings, model=model)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"error: .*{says}.*\n", done.stderr)


def test_a_server_that_is_not_there_is_a_clear_error(client, recordings):
    url = f"127.0.0.1:{free_ports()['grpc_port']}"
    done = transcribe(client, url, recordings)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"error: the server at {url} .*UNAVAILABLE.*8001.*\n", done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [[], ["--model", "demo"], ["--nonsense"], ["--model", "demo", "--timeout", "0", "a"]],
)
def test_wrong_usage_is_told_from_failure(client, arguments):
    done = run(client, "node", "transcribe.js", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: " in done.stderr


@pytest.fixture
def second(tmp_path):
    """A second of silence; the scripted server hears ``cat``."""
    path = tmp_path / "second.wav"
    soundfile.write(path, np.zeros(16_000, np.int16), 16_000)
    return path


def test_frames_beyond_the_length_are_not_the_utterances(client, second):
    with scripted_server(lambda *_: infer_reply("cat", length=4)) as url:
        done = transcribe(client, url, [second])
    assert done.stdout == f"{second}\tca\n"


def test_requests_name_the_version_of_the_contract(client, second):
    contract, asked = replace(CONTRACT, model_version=7), []

    def infer(request, _):
        asked.append(request.model_version)
        return infer_reply()

    with scripted_server(infer, contract.to_json()) as url:
        done = transcribe(client, url, [second])
    assert (done.stdout, asked) == (f"{second}\tcat\n", ["7"])


def test_a_full_queue_is_asked_again_even_for_long_audio(client, tmp_path):
    long = tmp_path / "long.wav"
    soundfile.write(long, np.zeros(1_000_000, np.int16), 16_000)  # 2 MB, above gRPC's retry buffer
    contract, sizes = replace(CONTRACT, max_samples=1_000_000), []

    def infer(request, context):
        sizes.append(len(request.raw_input_contents[0]))
        if len(sizes) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
        return infer_reply()

    with scripted_server(infer, contract.to_json()) as url:
        done = transcribe(client, url, [long])
    assert (done.stdout, done.returncode) == (f"{long}\tcat\n", 0)
    assert sizes == [2_000_000] * 3


def test_requests_overlap_as_asked_for_and_results_keep_their_order(client, tmp_path):
    paths = [tmp_path / f"{letter}.wav" for letter in "abcdef"]
    for number, path in enumerate(paths):
        soundfile.write(path, np.zeros(16_000 + number, np.int16), 16_000)
    under_way, most = [], []

    def infer(request, _):
        number = request.inputs[0].shape[1] - 16_000
        under_way.append(number)
        most.append(len(under_way))
        time.sleep(0.1 * (6 - number))  # the first take longest
        under_way.remove(number)
        return infer_reply("abcdef"[number])

    with scripted_server(infer) as url:
        done = transcribe(client, url, paths, "--in-flight", "3")
    assert done.stdout.splitlines() == lines(paths, "abcdef")
    assert max(most) == 3


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "INVALID_ARGUMENT"])
def test_a_request_that_keeps_failing_is_an_error_with_its_status(client, second, code):
    tries = []

    def infer(_, context):
        tries.append(1)
        context.abort(grpc.StatusCode[code], "cannot")

    with scripted_server(infer) as url:
        done = transcribe(client, url, [second])
    assert (done.stdout, done.returncode) == (f"{second}\t\n", 1)
    assert f"{code} (cannot)" in done.stderr
    assert len(tries) == (5 if code == "UNAVAILABLE" else 1)


def test_no_answer_meets_the_deadline(client, second):
    over = threading.Event()

    def infer(*_):
        over.wait(30)
        return infer_reply()

    with scripted_server(infer) as url:
        done = transcribe(client, url, [second], "--timeout", "1")
        over.set()
    assert "DEADLINE_EXCEEDED" in done.stderr
    assert done.returncode == 1


SPOILERS = {
    "too few bytes": lambda reply: setitem(reply.raw_output_contents, 0, b"123"),
    "other name": lambda reply: setattr(reply.outputs[0], "name", "other"),
    "other type": lambda reply: setattr(reply.outputs[0], "datatype", "FP32"),
    "two utterances": lambda reply: setitem(reply.outputs[1].shape, 0, 2),
    "unknown token": lambda reply: setitem(reply.raw_output_contents, 0, b"\x1d\0\0\0" * 8),
    "length beyond": lambda reply: setitem(reply.raw_output_contents, 1, b"\x09" + bytes(7)),
    "length below": lambda reply: setitem(reply.raw_output_contents, 1, b"\xff" * 8),
}


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
def test_a_malformed_reply_is_an_error(client, second, spoil):
    def infer(*_):
        reply = infer_reply()
        spoil(reply)
        return reply

    with scripted_server(infer) as url:
        done = transcribe(client, url, [second])
    assert (done.stdout, done.returncode) == (f"{second}\t\n", 1)
    assert "export the model again" in done.stderr


@pytest.mark.parametrize(
    ("contract_json", "says"),
    [
        ("", "no contract"),
        ("{", "not JSON"),
        ("null", "version undefined"),
        (json.dumps({**asdict(CONTRACT), "version": 2}), "version 2"),
        (json.dumps({**asdict(CONTRACT), "blank": 0}), "export"),
        (json.dumps({**asdict(CONTRACT), "vocabulary_kind": "words"}), "export"),
    ],
)
def test_a_contract_that_cannot_be_used_is_an_error(client, second, contract_json, says):
    with scripted_server(contract_json=contract_json) as url:
        done = transcribe(client, url, [second])
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"error: .*{says}.*\n", done.stderr)


def test_routes_are_used_where_the_server_has_them(
    client, demo_repository, recordings, transcripts, tmp_path
):
    repository = shutil.copytree(demo_repository, tmp_path / "repository")
    ranges = replace(throughput(2), ranges_s=(3.0, 4.0), queue_delay_us=100_000)
    reconfigure(repository, "demo", ranges)
    options = ServerOptions(repository, models=("demo", "demo_upto_3s"), **free_ports())
    with EmbeddedServer(options) as server:
        done = transcribe(client, server.grpc_url, recordings)
        triton = InferenceServerClient(server.grpc_url)
        counts = {
            model: triton.get_inference_statistics(model).model_stats[0].inference_count
            for model in options.models
        }
        triton.close()
    assert done.stdout.splitlines() == lines(recordings, texts_of(transcripts))
    assert all(counts.values())
    assert sum(counts.values()) == len(recordings)


def test_tls_and_the_key_of_a_restricted_protocol(
    client, demo_repository, recordings, transcripts, tmp_path
):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    make = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext {names}"
    assert run(tmp_path, *make.split(), "-keyout", key, "-out", certificate).returncode == 0
    arguments = (
        "--grpc-use-ssl=true",
        f"--grpc-server-cert={certificate}",
        f"--grpc-server-key={key}",
        "--grpc-restricted-protocol=inference,model-config:project=secret",
    )
    options = ServerOptions(demo_repository, extra_arguments=arguments, **free_ports())
    with EmbeddedServer(options) as server:
        argument = {"url": server.grpc_url, "paths": [str(recordings[0])]}
        argument["certificate"] = str(certificate)
        header = "triton-grpc-protocol-project"
        let_in = run_script(client, RECOGNISE, {**argument, "headers": {header: "secret"}})
        kept_out = run_script(client, RECOGNISE, {**argument, "headers": {header: "guess"}})
        plain = transcribe(client, server.grpc_url, recordings)
    assert output_of(let_in)[0]["text"] == transcripts[0].text
    assert header in kept_out.stderr
    assert "guess" not in kept_out.stderr
    assert (plain.returncode, plain.stdout) == (1, "")


def test_packages_are_pinned_by_version_and_hash_and_come_from_the_users_registry():
    packages = json.loads((SOURCE / "package-lock.json").read_text())["packages"]
    pinned = json.loads((SOURCE / "package.json").read_text())["dependencies"]
    for name, version in pinned.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    for name, package in packages.items():
        assert not name or package["integrity"].startswith("sha512-")
        assert "resolved" not in package


DESCRIPTOR = """
import protoLoader from "@grpc/proto-loader";
const definition = protoLoader.loadSync("triton.proto", { keepCase: true });
const [file] = definition["inference.ModelConfig"].fileDescriptorProtos;
console.log(JSON.stringify(file.toString("base64")));
"""


def test_the_proto_file_is_a_part_of_tritons(client):
    ours = FileDescriptorProto.FromString(
        base64.b64decode(output_of(run_script(client, DESCRIPTOR, None)))
    )
    theirs = service_pb2.DESCRIPTOR
    (service,) = ours.service
    assert (ours.package, service.name) == (theirs.package, "GRPCInferenceService")
    methods = theirs.services_by_name[service.name].methods_by_name
    messages = {message.name: message for message in ours.message_type}
    compared = set()
    for method in service.method:
        triton = methods[method.name]
        for ours_name, message in (
            (method.input_type, triton.input_type),
            (method.output_type, triton.output_type),
        ):
            assert ours_name == f".{message.full_name}"
            compare(messages[message.name], message, messages, compared)
    assert compared >= set(messages)


def compare(ours, theirs, messages, compared):
    """Every field of ours is one of theirs, by name, number, type and label."""
    compared.add(ours.name)
    triton = DescriptorProto()
    theirs.CopyToProto(triton)
    fields = {field.name: field for field in triton.field}
    nested = {message.name: message for message in ours.nested_type}
    for field in ours.field:
        other = fields[field.name]
        facts = (field.number, field.type, field.label)
        assert facts == (other.number, other.type, other.label), f"{ours.name}.{field.name}"
        if field.type == field.TYPE_MESSAGE:
            name = field.type_name.rpartition(".")[2]
            message = theirs.fields_by_name[field.name].message_type
            compare({**messages, **nested}[name], message, messages, compared)


def block(language):
    """The one fenced block of ``docs/wire.md`` in ``language``."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", WIRE, re.MULTILINE | re.DOTALL)
    return text


def test_the_pages_contract_is_one_and_all_of_it():
    example = json.loads(block("json"))
    contract = Contract.from_json(block("json"))
    assert asdict(contract) == {
        **example,
        "vocabulary": tuple(example["vocabulary"]),
        "routes": tuple(example["routes"]),
    }
    first_cells = " ".join(re.findall(r"^\| (`.*?) \|", WIRE, re.MULTILINE))
    assert set(example) <= set(re.findall(r"`(\w+)`", first_cells))


def test_the_pages_request_is_answered_as_it_says(server_url):
    request = text_format.Parse(block("textproto"), service_pb2.ModelInferRequest())
    request.raw_input_contents.append(np.zeros(16_000, "<i2").tobytes())
    before = bytes.fromhex("".join(line.partition("#")[0] for line in block("text").splitlines()))
    assert request.SerializeToString() == before + bytes(32_000)
    with grpc.insecure_channel(server_url) as channel:
        reply = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    outputs = {
        output.name: (output.datatype, list(output.shape), raw)
        for output, raw in zip(reply.outputs, reply.raw_output_contents, strict=True)
    }
    assert set(outputs) == {"tokens", "log_probs_length"}
    datatype, shape, raw = outputs["log_probs_length"]
    assert (datatype, shape, len(raw)) == ("INT64", [1, 1], 8)
    datatype, shape, raw = outputs["tokens"]
    assert (datatype, shape[0], len(raw)) == ("INT32", 1, 4 * shape[1])
