"""Ways of serving, through the client: other queues and instances, the same texts."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tritonclient.grpc import InferenceServerClient

import demo
from client import Transcriber
from client.manifests.manifest import read_manifest
from client.wire.models import list_models
from export.configure import reconfigure
from export.serving import SPARE, cpu, throughput
from server import EmbeddedServer, ServerOptions, free_ports

MANIFEST = Path(demo.__file__).parent / "clips" / "manifest.jsonl"
RANGES = replace(throughput(2), ranges_s=(3.0, 4.0), queue_delay_us=100_000)


@pytest.fixture(scope="module")
def texts(server_url):
    """What the default way of serving gives."""
    return transcribed(server_url)


@pytest.fixture
def repository(demo_repository, tmp_path):
    return shutil.copytree(demo_repository, tmp_path / "repository")


def transcribed(url):
    clips = [entry.item for entry in read_manifest(MANIFEST)]
    with Transcriber(url, "demo") as transcriber:
        return [result.transcript.text for result in transcriber.transcribe(clips)]


def executions(url, model):
    """Utterances and batches that ``model`` has run."""
    statistics = InferenceServerClient(url).get_inference_statistics(model).model_stats[0]
    return statistics.inference_count, statistics.execution_count


def test_clients_use_the_queues_of_their_utterances_lengths(repository, texts):
    reconfigure(repository, "demo", RANGES)
    with EmbeddedServer(ServerOptions(repository, **free_ports())) as server:
        assert transcribed(server.grpc_url) == texts
        used = {
            name: executions(server.grpc_url, name)[0]
            for name in ("demo_upto_3s", "demo_upto_4s", "demo")
        }
        assert [model.name for model in list_models(server.grpc_url)] == ["demo"]
    assert sum(used.values()) == len(texts)
    assert all(used.values())


def test_a_server_without_the_queues_is_used_by_its_main_one(repository, texts):
    reconfigure(repository, "demo", RANGES)
    options = ServerOptions(repository, models=("demo", "demo_upto_3s"), **free_ports())
    with EmbeddedServer(options) as server:
        assert transcribed(server.grpc_url) == texts
        assert executions(server.grpc_url, "demo_upto_3s")[0] > 0


def test_an_encoder_for_each_core_takes_requests_one_by_one(repository, texts):
    reconfigure(repository, "demo", cpu(3))
    with EmbeddedServer(ServerOptions(repository, **free_ports())) as server:
        assert transcribed(server.grpc_url) == texts
        utterances, batches = executions(server.grpc_url, "demo_encoder")
    warmups = cpu(3).instances + SPARE
    assert utterances == batches == len(texts) + warmups
