"""The packages that the other machine lacks: fetched here for its Python, installed there.

The machine's Python brings torch, and with it CUDA's libraries. The bundle's wheels go into an
environment of their own that comes first, so that nothing of the machine's is changed.
"""

import importlib.util
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

from benchmarks.errors import BundleError
from benchmarks.gpu.layout import ENVIRONMENT, WHEELS
from benchmarks.report import PROJECT

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
PINS: Final = PROJECT / "constraints" / "runtime.txt"
LIBRARIES: Final = "nvidia"
"""The package of CUDA's libraries; ONNX Runtime looks for it beside itself."""


def fetch_wheels(folder: Path) -> None:
    """Download the wheels into ``folder``; raises ``BundleError``."""
    command = ["download", "--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", PYTHON, "--dest", str(folder)]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    _pip([*command, *requirements()], f"fetch the wheels for Python {PYTHON}")


def requirements() -> list[str]:
    """What is fetched, as ``name==version``; raises ``BundleError`` for a missing pin."""
    lines = PINS.read_text(encoding="utf-8").splitlines()
    pins = {line.partition("==")[0]: line for line in lines}
    missing = [package for package in PACKAGES if package not in pins]
    if missing:
        raise BundleError(f"{PINS} does not pin {', '.join(missing)}: run 'make freeze'")
    return [ONNXRUNTIME_GPU, *(pins[package] for package in PACKAGES)]


def install(bundle: Path) -> Path:
    """Make an environment of the bundle's wheels without a network; the path of its Python.

    Raises ``BundleError`` when pip refuses a wheel: one for another Python, say.
    """
    wheels = sorted(str(path) for path in (bundle / WHEELS).glob("*.whl"))
    if not wheels:
        raise BundleError(f"no wheels in {bundle / WHEELS}: join the bundle's parts again")
    environment = bundle / ENVIRONMENT
    venv.create(environment, clear=True, symlinks=True)
    python = environment / "bin" / "python"
    command = ["--python", str(python), "install", "--no-index", "--no-deps", "--no-compile"]
    _pip([*command, *wheels], f"install the wheels into {environment}")
    packages = next(environment.glob("lib/python*/site-packages"))
    below = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "machine.pth").write_text("\n".join(below) + "\n", encoding="utf-8")
    libraries = importlib.util.find_spec(LIBRARIES)
    if libraries is not None and libraries.submodule_search_locations:
        (packages / LIBRARIES).symlink_to(next(iter(libraries.submodule_search_locations)))
    return python


def _pip(arguments: list[str], purpose: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BundleError(f"pip could not {purpose}: {result.stderr.strip()}")
