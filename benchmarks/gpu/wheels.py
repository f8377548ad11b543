"""The wheels that the other machine lacks, fetched here for its Python."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.errors import BundleError

PYTHON: Final = "3.12"
PLATFORMS: Final = (
    "manylinux2014_x86_64",  # pip does not take it for the same as manylinux_2_17
    *(f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28, 31, 34, 35)),
)
ONNXRUNTIME_GPU: Final = "onnxruntime-gpu==1.31.1"
"""The newest on the package index; built for CUDA 13 and cuDNN 9, which torch's wheels bring."""
PACKAGES: Final = (
    "nvidia-pytriton", "numpy", "tritonclient", "grpcio", "protobuf", "python-rapidjson",
    "urllib3", "flatbuffers", "packaging", "typing_extensions", "ml_dtypes",
    "soundfile", "soxr", "cffi",
)  # fmt: skip
"""In the versions of this project's server. NumPy too: with its version 2 the server's python stub
returns empty tensors. The last line is the client's, which the load goes through; it goes without
KenLM where no language model is used."""
PINS: Final = Path(__file__).resolve().parents[2] / "constraints" / "runtime.txt"


def fetch_wheels(folder: Path) -> None:
    """Download the wheels into ``folder``; raises :class:`BundleError`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", PYTHON, "--dest", str(folder)]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    result = subprocess.run(
        [*command, *requirements()], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise BundleError(f"pip could not fetch the wheels for Python {PYTHON}: {result.stderr}")


def requirements() -> list[str]:
    """What is fetched, as ``name==version``; raises :class:`BundleError` for a missing pin."""
    lines = PINS.read_text(encoding="utf-8").splitlines()
    pins = {line.partition("==")[0]: line for line in lines}
    missing = [package for package in PACKAGES if package not in pins]
    if missing:
        raise BundleError(f"{PINS} does not pin {', '.join(missing)}: run 'make freeze'")
    return [ONNXRUNTIME_GPU, *(pins[package] for package in PACKAGES)]
