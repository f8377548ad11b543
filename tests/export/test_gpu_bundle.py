"""The GPU benchmark's whole path on a CPU: bundle, parts, and the run."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from benchmarks.errors import BundleError
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.bundle import CORES, sign_weights
from benchmarks.gpu.layout import REPOSITORIES, model_folder, read_facts
from benchmarks.gpu.parity import compared
from benchmarks.gpu.programs import DTYPES, load_program
from benchmarks.gpu.variants import variants_for
from benchmarks.pipeline import read_contract
from export.assemble import Recipe
from export.serving import throughput

NAME = "quartznet"
LIMIT_MB = 0.5


def command(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A bundle of one small model, made by the command; in a process whose warnings are its own."""
    folder = tmp_path_factory.mktemp("parts")
    arguments = ["--models", NAME, "--size", "small", "--no-wheels", "--limit-mb", str(LIMIT_MB)]
    program = [sys.executable, "-m", "benchmarks.gpu", "bundle", "--output", str(folder)]
    made = subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def bundle(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    subprocess.run(f"cat {parts}/part-* | tar -xz -C {folder}", shell=True, check=True)  # noqa: S602
    return folder


@pytest.fixture(scope="module")
def model(bundle):
    """The model's folder."""
    return bundle / "models" / NAME


def test_the_command_keeps_to_the_size_of_a_part_and_says_how_it_agrees_with_nemo(parts, bundle):
    assert max(path.stat().st_size for path in parts.iterdir()) <= LIMIT_MB * 1e6
    differences = json.loads((bundle / "bundle.json").read_text())["difference_from_nemo"][NAME]
    assert set(differences) == {"program", "graphs"}
    assert all(0 <= difference <= 1e-3 for difference in differences.values())


@pytest.mark.parametrize(("precision", "kind"), [("fp32", np.float32), ("fp16", np.float16)])
def test_large_weights_are_two_numbers_each_in_the_type_of_their_precision(model, precision, kind):
    graph = onnx.load(next(model.glob(f"repository/{NAME}_{precision}_encoder/*/model.onnx")))
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer]
    large = [array for array in arrays if array.size >= 512 and array.squeeze().ndim >= 2]
    assert large
    for array in large:
        assert array.dtype == kind
        rows = np.abs(array.reshape(len(array), -1).astype(np.float32))
        np.testing.assert_allclose(rows, rows[:, :1].repeat(rows.shape[1], axis=1), rtol=2e-3)


@pytest.mark.parametrize("precision", DTYPES)
def test_a_model_served_for_throughput_is_the_same_graphs_with_other_queues(model, precision):
    name = f"{NAME}_{precision}"
    plain, batched = model / "repository", model / "repository_throughput"
    contract = read_contract(batched, name)
    version = str(contract.model_version)
    assert read_contract(plain, name).routes == ()
    assert len(contract.routes) > 3
    assert replace(contract, routes=()) == read_contract(plain, name)
    for role in ("preprocessor", "encoder", "decoder"):
        folder = Path(f"{name}_{role}", version)
        files = {path.name for path in (plain / folder).iterdir()}
        assert "model.onnx" in files
        for file in files:
            assert (batched / folder / file).samefile(plain / folder / file)
    for route in contract.routes:
        queue = route.model.replace(name, f"{name}_preprocessor")
        graph = batched / queue / version / "model.onnx"
        assert graph.samefile(plain / f"{name}_preprocessor" / version / "model.onnx")
        assert list((batched / route.model / version).iterdir()) == []


def test_the_ways_of_serving_are_the_exporters_presets():
    assert list(REPOSITORIES) == [Recipe(NAME).serving.preset, throughput(CORES).preset]


@pytest.mark.parametrize("precision", DTYPES)
def test_a_program_moves_to_another_device_with_all_that_it_makes(model, precision):
    # The device "meta" refuses tensors of another one, as CUDA does, and computes nothing.
    meta = torch.device("meta")
    program = load_program(model, precision, meta)
    for batch in (1, 3):
        features = torch.empty(batch, 80, 333, dtype=DTYPES[precision], device=meta)
        length = torch.empty(batch, 1, dtype=torch.int64, device=meta)
        tokens, log_probs, _ = program(features, length)
        assert (tokens.device, log_probs.shape) == (meta, (batch, 167, 29))


def test_a_run_writes_parity_and_speed_and_the_report_reads_them(bundle, tmp_path, capsys):
    shape = ("--batches", 1, 2, "--seconds", 0.5, "--repeats", 2)
    run = ("run", "--bundle", bundle, "--model", NAME, "--provider", "cpu", *shape)
    assert command(*run, "--parts", "parity", "speed", "--results", tmp_path) == 0
    results = json.loads((tmp_path / f"{NAME}-parity-speed.json").read_text())
    names = [variant.name for variant in variants_for("cpu")]
    assert [row["variant"] for row in results["parity"]] == names
    for row in results["parity"]:
        half = row["variant"].endswith("fp16")
        assert row["finite"]
        assert row["distinct_tokens"] > 5
        assert row["max_abs"] <= (0.5 if half else 1e-3)
        assert row["tokens_differ"] <= (row["frames"] // 20 if half else 0)
    ways = {(row["stage"], row["name"], row["batch"]) for row in results["speed"]}
    assert len(ways) == 2 * (len(names) + 2)
    capsys.readouterr()
    assert command("report", "--results", tmp_path) == 0
    page = capsys.readouterr().out
    assert all(f"| {name}" in page for name in names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--provider", "cuda"), "has no CUDAExecutionProvider"),
        (("--provider", "cpu", "--model", "jasper"), "no model 'jasper' in the bundle"),
    ],
)
def test_a_run_that_cannot_be_is_an_error(bundle, tmp_path, capsys, arguments, message):
    run = ("run", "--bundle", bundle, "--results", tmp_path, "--model", NAME)
    assert command(*run, *arguments) == 1
    assert message in capsys.readouterr().err


def test_what_does_not_fit_into_the_time_is_left_out_by_name(bundle, tmp_path):
    run = ("run", "--bundle", bundle, "--model", NAME, "--provider", "cpu", "--limit-s", 0)
    assert command(*run, "--seconds", 1, "--batches", 1, "--results", tmp_path) == 0
    left_out = json.loads((tmp_path / f"{NAME}.json").read_text())["left_out"]
    assert [line.partition(":")[0] for line in left_out] == [
        "parity",
        "speed, 1 x 1 s",
        "Triton, fp32, balanced",
        "Triton, fp32, throughput",
        "Triton, fp16, balanced",
        "Triton, fp16, throughput",
    ]


def test_a_step_that_fails_is_recorded_and_the_others_are_run(model, tmp_path, capsys):
    damaged = tmp_path / "models" / NAME
    shutil.copytree(model, damaged)
    (damaged / "programs" / "fp16.pt2").write_bytes(b"no program")
    run = ("run", "--bundle", tmp_path, "--model", NAME, "--provider", "cpu")
    shape = ("--parts", "parity", "speed", "--seconds", 1, "--batches", 1, "--repeats", 1)
    assert command(*run, *shape, "--results", tmp_path) == 1
    assert "2 steps failed" in capsys.readouterr().err
    failed = json.loads((tmp_path / f"{NAME}-parity-speed.json").read_text())["failed"]
    assert [line.partition(":")[0] for line in failed] == ["parity", "speed, 1 x 1 s"]


def test_only_matrices_and_kernels_become_signs():
    module = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.LayerNorm(64))
    before = module[0].weight.detach().clone()
    bias = module[0].bias.detach().clone()
    sign_weights(module)
    torch.testing.assert_close(module[0].weight.detach(), before.sign() * before.std())
    torch.testing.assert_close(module[0].bias.detach(), bias)


def test_parity_counts_what_differs_and_forgives_ties():
    expected = [np.log(np.float32([[0.7, 0.3], [0.5002, 0.4998], [0.2, 0.8]]))]
    other = [np.log(np.float32([[0.7, 0.3], [0.4998, 0.5002], [0.6, 0.4]]))]
    row = compared("x", expected, other, expected)
    assert (row.frames, row.tokens_differ, row.distinct_tokens, row.finite) == (3, 1, 2, True)
    assert row.max_abs == pytest.approx(np.log(0.6 / 0.2), rel=1e-5)
    assert row.batch_max_abs == row.max_abs
    broken = compared("x", expected, [other[0] * np.nan], expected)
    assert (broken.finite, broken.max_abs, broken.batch_max_abs) == (False, None, None)


def test_a_model_without_readable_facts_is_an_error(tmp_path):
    folder = tmp_path / "models" / "net"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text('{"title": "Net"}')
    with pytest.raises(BundleError, match="join again"):
        read_facts(model_folder(tmp_path, "net"))
