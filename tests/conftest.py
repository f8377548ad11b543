"""Fixtures that several folders of tests share."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.needs import is_allowed

PROJECT = Path(__file__).resolve().parents[1]
REPOSITORY = PROJECT / "model_repository"
ASSETS = PROJECT / "tests" / "assets"

# ONNX Runtime's wheels report use to their maker unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Tests run side by side: torch's threads must sleep while they wait, not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# The checkout's folders are not installed: programs that tests start in other folders find them so.
os.environ["PYTHONPATH"] = str(PROJECT)
# Shells start background jobs with SIGINT ignored, and the programs under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


SLOWEST = "tests/integration/test_subwords.py"
"""Begins first, so that no worker is left with it in the end."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not item.nodeid.startswith(SLOWEST))


def unexpected_skips(config):
    """Reports of tests and modules that were skipped for a reason that ``tests.needs`` lacks."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []  # a worker has no reporter
    return [report for report in skipped if not is_allowed(report.longrepr[2])]


def pytest_sessionfinish(session):
    if unexpected_skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for report in unexpected_skips(config):
        terminalreporter.write_line(
            f"FAILED {report.nodeid}: only speech data and hardware may be missing", red=True
        )


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
