"""A Python environment from a bundle's wheels, on top of the machine's own, without a network.

The machine's Python brings torch, and with it CUDA's libraries. The bundle's wheels go into an
environment of their own that comes first, so that nothing of the machine's is changed.
"""

import importlib.util
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from benchmarks.errors import BundleError
from benchmarks.gpu.layout import ENVIRONMENT, WHEELS

LIBRARIES = "nvidia"
"""The package of CUDA's libraries; ONNX Runtime looks for it beside itself."""


def install(bundle: Path) -> Path:
    """Make the environment; the path of its Python.

    Raises :class:`BundleError` when pip refuses a wheel: one for another Python, say.
    """
    wheels = sorted(str(path) for path in (bundle / WHEELS).glob("*.whl"))
    if not wheels:
        raise BundleError(f"no wheels in {bundle / WHEELS}: join the bundle's parts again")
    environment = bundle / ENVIRONMENT
    venv.create(environment, clear=True, symlinks=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    pip += ["install", "--quiet", "--no-index", "--no-deps", "--no-compile", *wheels]
    result = subprocess.run(pip, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BundleError(
            f"pip could not install the wheels into {environment}: {result.stderr.strip()}"
        )
    packages = next(environment.glob("lib/python*/site-packages"))
    below = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "machine.pth").write_text("\n".join(below) + "\n", encoding="utf-8")
    libraries = importlib.util.find_spec(LIBRARIES)
    if libraries is not None and libraries.submodule_search_locations:
        (packages / LIBRARIES).symlink_to(next(iter(libraries.submodule_search_locations)))
    return python
