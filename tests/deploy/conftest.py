"""A live Triton with the arguments that the manifests give it, and what it tells Prometheus."""

import re
from collections.abc import Iterator
from urllib.request import urlopen

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

from server import EmbeddedServer, ServerOptions, free_ports
from tests.deploy.support import base_objects, container_of, one


def transcribe(grpc_url: str) -> None:
    """One request to the demo model: a second of noise."""
    noise = np.random.default_rng(0).integers(-900, 900, (1, 16_000)).astype(np.int16)
    audio = InferInput("audio_signal", list(noise.shape), "INT16")
    audio.set_data_from_numpy(noise)
    with InferenceServerClient(grpc_url) as client:
        client.infer("demo", [audio], outputs=[InferRequestedOutput("tokens")])


@pytest.fixture(scope="session")
def triton(demo_repository) -> Iterator[EmbeddedServer]:
    """The demo model, served with the Deployment's arguments, after one request."""
    program, repository, *arguments = container_of(one(base_objects(), "Deployment"))["args"]
    assert (program, repository) == ("tritonserver", "--model-repository=$(MODEL_REPOSITORY)")
    options = ServerOptions(demo_repository, **free_ports(), extra_arguments=tuple(arguments))
    with EmbeddedServer(options) as server:
        transcribe(server.grpc_url)
        yield server


@pytest.fixture(scope="session")
def live_metrics(triton) -> dict[str, set[str]]:
    """Names of all metrics of the live server, each with the names of its labels."""
    with urlopen(triton.metrics_url) as response:  # noqa: S310  # our own server's
        lines = response.read().decode().splitlines()
    found: dict[str, set[str]] = {}
    for line in lines:
        if not line.startswith("#"):
            name, _, labels = line.partition("{")
            found.setdefault(name.split()[0], set()).update(re.findall(r'(\w+)="', labels))
    return found
