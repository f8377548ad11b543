"""Bulk transcription while Triton, a model's process and the client are killed: nothing is lost."""

import json

from benchmarks.__main__ import main
from tests.integration.test_client_server import MANIFEST


def test_what_is_killed_costs_no_utterance(demo_repository, tmp_path):
    output = tmp_path / "chaos.json"
    server = ["--repository", str(demo_repository), "--model", "demo"]
    speech = ["--manifest", str(MANIFEST), "--utterances", "800", "--output", str(output)]
    assert main(["chaos", *server, *speech]) == 0
    verdict = json.loads(output.read_text(encoding="utf-8"))["verdict"]
    assert verdict["killed"].count("tritonserver") == 3
    assert len(verdict["killed"]) == 5
    assert verdict["client_runs"] >= 2
