"""A plan's metadata: written, read back, and held against the machine."""

import dataclasses
import json

import pytest

from export.engine.device import Gpu
from export.engine.files import commit_partial
from export.engine.plan import (
    METADATA_FILE,
    PLAN_FILE,
    PlanMetadata,
    mismatches,
    sha256_of_bytes,
    write_plan,
)
from export.errors import EngineError
from tests.engine.support import PROFILES

PLAN = b"plan"
GRAPH = {"model.onnx": "1" * 64, "model.onnx.data": "2" * 64}
HERE = Gpu("NVIDIA Test", "9.0")
METADATA = PlanMetadata(
    tensorrt="11.4.0.106",
    gpu=HERE.name,
    compute_capability=HERE.compute_capability,
    graph=GRAPH,
    plan_sha256=sha256_of_bytes(PLAN),
    precision="fp16",
    profiles=PROFILES,
    islands=("/softmax",),
    date="2026-11-23T20:00:00Z",
)


@pytest.fixture
def folder(tmp_path):
    write_plan(tmp_path, PLAN, METADATA)
    for name in (PLAN_FILE, METADATA_FILE):
        commit_partial(tmp_path / name)
    return tmp_path


def test_metadata_comes_back_as_it_was_written(folder):
    assert PlanMetadata.read(folder / METADATA_FILE) == METADATA
    assert (folder / PLAN_FILE).read_bytes() == PLAN


def test_a_plan_fits_where_it_was_built(folder):
    assert list(mismatches(folder, GRAPH, "11.4.0", [HERE, HERE])) == []


@pytest.mark.parametrize(
    ("tensorrt", "gpus", "reason"),
    [
        ("11.4.1", [HERE], "built with TensorRT 11.4.0.106, here is 11.4.1"),
        ("10.5.0", [HERE], "here is 10.5.0"),
        ("11.4.0", [Gpu("NVIDIA Test", "8.6")], "here is NVIDIA Test .compute capability 8.6"),
        ("11.4.0", [HERE, Gpu("NVIDIA Other", "9.0")], "here is NVIDIA Other"),
    ],
    ids=["patch", "major", "capability", "one of two GPUs"],
)
def test_another_version_or_gpu_is_a_reason(folder, tensorrt, gpus, reason):
    (found,) = mismatches(folder, GRAPH, tensorrt, gpus)
    assert reason.replace(".compute", "(compute") in found


def test_another_export_is_a_reason(folder):
    (found,) = mismatches(folder, {**GRAPH, "model.onnx": "3" * 64}, "11.4.0", [HERE])
    assert "built from another export" in found


def test_a_plan_that_is_gone_or_of_another_run_is_a_reason(folder):
    (folder / PLAN_FILE).write_bytes(b"another")
    (found,) = mismatches(folder, GRAPH, "11.4.0", [HERE])
    assert "is not the plan that plan.json" in found
    (folder / PLAN_FILE).unlink()
    (found,) = mismatches(folder, GRAPH, "11.4.0", [HERE])
    assert "is not there" in found


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(PlanMetadata)])
def test_metadata_without_a_field_is_an_error_that_says_what_to_do(folder, field):
    path = folder / METADATA_FILE
    data = json.loads(path.read_text())
    del data[field]
    path.write_text(json.dumps(data))
    with pytest.raises(EngineError, match=r"build the plans again"):
        PlanMetadata.read(path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"profiles": 3}'])
def test_damaged_metadata_is_an_error(folder, text):
    (folder / METADATA_FILE).write_text(text)
    with pytest.raises(EngineError, match="is not a plan's metadata"):
        PlanMetadata.read(folder / METADATA_FILE)


def test_missing_metadata_is_an_error(tmp_path):
    with pytest.raises(EngineError, match="cannot be read"):
        PlanMetadata.read(tmp_path / METADATA_FILE)
