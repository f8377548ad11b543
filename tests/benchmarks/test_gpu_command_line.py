"""``python -m benchmarks.gpu`` without a GPU, torch or NeMo: environment, report, and errors."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.packages import PACKAGES, requirements

RESULT = {
    "date": "2030-01-02T03:04:05+00:00",
    "command": "python -m benchmarks.gpu run --model net",
    "python": "3.12.0",
    "packages": {"onnxruntime-gpu": "1.2.3", "torch": "4.5.6"},
    "cpu": "a processor",
    "cpus": 8,
    "device": {"provider": "cuda", "gpu": "a card", "driver": "9.9", "cudnn": 99},
    "model": {"name": "net", "title": "Net 3x3", "parameters": 1_500_000, "sample_rate_hz": 16000},
    "parity": [
        {
            "variant": "ONNX Runtime fp16",
            "finite": False,
            "max_abs": None,
            "frames": 100,
            "tokens_differ": 2,
            "distinct_tokens": 9,
            "batch_max_abs": None,
        }
    ],
    "speed": [
        {
            "batch": batch,
            "seconds": 5.0,
            "stage": "acoustic",
            "name": "torch eager fp32",
            "rtfx": 100.0 * batch,
            "rtfx_low": 90.0,
            "rtfx_high": 110.0,
        }
        for batch in (1, 16)
    ],
    "triton": [
        {
            "precision": "fp16",
            "serving": "throughput",
            "load": {"lengths": "librispeech", "in_flight": 64, "seconds": 5.0},
            "requests": 500,
            "failed": 0,
            "rtfx": 1234.5,
            "encoder_batch": 7.25,
            "p50_ms": 600.4,
            "p95_ms": 900.6,
            "padding_share": 0.125,
            "stages_ms": {"queue": 400.0, "encoder": 150.5},
            "gpu_share": 0.9,
        }
    ],
    "left_out": ["torch compiled fp16, 16 x 15 s: the time was up"],
    "failed": ["Triton, fp32: ModelError: it could not be served"],
}


def test_results_become_tables_with_their_circumstances(tmp_path, capsys):
    (tmp_path / "net.json").write_text(json.dumps(RESULT))
    assert main(["report", "--results", str(tmp_path)]) == 0
    page = capsys.readouterr().out
    for text in (
        "## Net 3x3 on a card",
        "2030-01-02T03:04:05+00:00; onnxruntime-gpu 1.2.3, torch 4.5.6, Python 3.12.0, driver 9.9",
        "Random weights, 1.5 M parameters",
        "`python -m benchmarks.gpu run --model net`",
        "| ONNX Runtime fp16 | **no** | - | 2 of 100 | - |",
        "| RTFx (quartiles) | 1 x 5 s | 16 x 5 s |",
        "| torch eager fp32, features to tokens | 100 (90-110) | 1600 (90-110) |",
        "| fp16, throughput, librispeech, 64 in flight | 1234 | 600 | 901 | 7.2 | 12% | 0 |",
        "| ms of a request in the mean | queue | encoder |",
        "| fp16, throughput, librispeech, 64 in flight | 400.0 | 150.5 |",
        "Left out: torch compiled fp16, 16 x 15 s: the time was up.",
        "**Failed:** Triton, fp32: ModelError: it could not be served",
    ):
        assert text in page


def test_the_environment_has_the_wheels_before_the_machines_own_packages(tmp_path):
    wheel = tmp_path / "wheels" / "numpy-0.1-py3-none-any.whl"  # another than this machine's
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("numpy/__init__.py", "__version__ = 'from the wheel'")
        archive.writestr(
            "numpy-0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: numpy\nVersion: 0.1\n"
        )
        archive.writestr(
            "numpy-0.1.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("numpy-0.1.dist-info/RECORD", "")
    assert main(["install", "--bundle", str(tmp_path)]) == 0
    python = tmp_path / "environment" / "bin" / "python"
    program = "import numpy, flatbuffers; print(numpy.__version__)"  # the second is this machine's
    answer = subprocess.run(
        [python, "-I", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
    )
    assert answer.stdout.strip() == "from the wheel"


def test_a_wheel_for_another_python_is_refused_by_name(tmp_path, capsys):
    wheel = tmp_path / "wheels" / "thing-1-cp27-cp27m-manylinux1_x86_64.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"")
    assert main(["install", "--bundle", str(tmp_path)]) == 1
    assert wheel.name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("install --bundle {folder}", "no wheels in"),
        ("report --results {folder}", "no results to report"),
    ],
)
def test_an_empty_folder_is_an_error(tmp_path, capsys, command, message):
    assert main(command.format(folder=tmp_path).split()) == 1
    assert message in capsys.readouterr().err


def test_a_file_that_holds_no_results_is_named(tmp_path, capsys):
    (tmp_path / "net.json").write_text("cut sh")
    assert main(["report", "--results", str(tmp_path)]) == 1
    assert "net.json holds no results" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["bundle", "install", "run", "report"])
def test_every_command_explains_itself_without_torch_or_nemo(command):
    call = [sys.executable, "-m", "benchmarks.gpu", command, "--help"]
    assert "usage" in subprocess.run(call, capture_output=True, text=True, check=True).stdout


def test_every_package_of_the_bundle_is_pinned():
    names = [requirement.partition("==")[0] for requirement in requirements()]
    assert names == ["onnxruntime-gpu", *PACKAGES]
