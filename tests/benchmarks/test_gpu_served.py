"""The load on a real Triton: how much was asked for is what was served."""

import subprocess
import sys
from dataclasses import asdict

import pytest

from benchmarks.errors import LoadError, ModelError
from benchmarks.gpu.served import Load, serve

# What the client and the load can do without; a bundle has none of it.
ABSENT = ("kenlm", "jiwer", "rich", "optuna", "matplotlib", "pyctcdecode", "torch", "onnx")
BARE = f"""
import sys
sys.modules.update(dict.fromkeys({ABSENT}))
import benchmarks.gpu.served
"""


def test_loads_of_several_lengths_are_served_and_measured(demo_repository):
    loads = [Load("uniform:1:1", 1, 0.5), Load("uniform:0.5:2", 4, 0.5)]
    single, several = serve(demo_repository, "demo", loads, gpu=False)
    assert [served["load"] for served in (single, several)] == list(map(asdict, loads))
    assert (single["encoder_batch"], single["padding_share"]) == (1, 0)
    for served in (single, several):
        assert served["failed"] == 0
        assert served["requests"] > 1
        assert served["rtfx"] > 1
        assert 0 < served["p50_ms"] <= served["p95_ms"]
        assert served["stages_ms"]["encoder"] > 0
        assert served["encoder_batch"] >= 1


def test_a_model_that_is_not_there_is_an_error(repository):
    with pytest.raises(ModelError, match="no model 'none'"):
        next(serve(repository, "none", [], gpu=False))


def test_lengths_that_make_no_sense_are_an_error_before_a_server_is_started(repository):
    with pytest.raises(LoadError, match="expected manifest, librispeech"):
        next(serve(repository, "one", [Load("long", 1, 1.0)], gpu=False))


def test_a_load_needs_no_package_that_a_bundle_lacks():
    subprocess.run([sys.executable, "-c", BARE], check=True)
