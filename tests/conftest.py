"""Fixtures that several folders of tests share."""

import os
import shutil
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
REPOSITORY = PROJECT / "model_repository"

# ONNX Runtime's wheels report use to their maker unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@pytest.fixture(scope="session")
def demo_repository(tmp_path_factory):
    """The exported demo model alone, whatever else lies in ``model_repository/``."""
    if not (REPOSITORY / "demo" / "config.pbtxt").exists():
        pytest.fail("model_repository/ has no demo model: `make test` exports it")
    repository = tmp_path_factory.mktemp("repository")
    for model in ("demo", "demo_preprocessor", "demo_encoder", "demo_decoder"):
        shutil.copytree(REPOSITORY / model, repository / model)
    return repository


@pytest.fixture(scope="session")
def server_url(demo_repository):
    """GRPC address of the embedded Triton with the demo model."""
    from server import EmbeddedServer, ServerOptions, free_ports

    with EmbeddedServer(ServerOptions(demo_repository, **free_ports())) as server:
        yield server.grpc_url
