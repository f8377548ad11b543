"""The backend directory that Triton reads: its own python backend, and our ``onnxruntime``.

::

    <directory>/python/libtriton_python.so              a copy: Triton rejects links out of here
                      triton_python_backend_utils.py    a copy
                      triton_python_backend_stub        a link: a copy would lose its library path
    <directory>/onnxruntime/model.py                    a copy
"""

import shutil
from pathlib import Path

from server.installation import STUB_NAME, Installation

BACKENDS = Path(__file__).parent / "backend"
PYTHON_BACKEND_FILES = ("libtriton_python.so", "triton_python_backend_utils.py")


def build_backend_directory(directory: Path, installation: Installation) -> None:
    """Write the backends into the empty ``directory``."""
    python = directory / "python"
    python.mkdir()
    for name in PYTHON_BACKEND_FILES:
        shutil.copy2(installation.python_backend / name, python)
    (python / STUB_NAME).symlink_to(installation.stub)
    onnxruntime = directory / "onnxruntime"
    onnxruntime.mkdir()
    shutil.copy2(BACKENDS / "onnxruntime" / "model.py", onnxruntime)
