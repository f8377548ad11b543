"""The engine command runs on Python and TensorRT alone, as NVIDIA's containers have them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.engine.conftest import GPU
from tests.engine.support import ENCODER, NAME
from tests.engine.test_plan import METADATA

PROJECT = Path(__file__).resolve().parents[2]
MODULES = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
OLDEST_PYTHON = "3.10"  # in nvcr.io/nvidia/tensorrt:24.10-py3
RUN = "import argparse; from export.engine import command; parser = argparse.ArgumentParser();"
RUN += " command.add_arguments(parser); command.run(parser.parse_args())"


def bare(code, *arguments, **environment):
    """Run ``code`` with the standard library and this project, and nothing that is installed."""
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r}); {code}"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **environment},
    )


def test_nothing_outside_the_standard_library_is_imported():
    result = bare(f"import export.engine.command; {MODULES}")
    assert result.stderr == ""
    loaded = set(result.stdout.split()) - {"__main__"}
    assert loaded - sys.stdlib_module_names == {"client", "export"}


def test_the_exporters_entry_imports_nothing_more():
    result = bare(f"import export.__main__; {MODULES}")
    assert result.stderr == ""
    assert set(result.stdout.split()) - {"__main__"} - sys.stdlib_module_names == {
        "client",
        "export",
    }


def test_the_oldest_containers_python_imports_it():
    code = "import export.engine.command, export.__main__, sys;"
    code += " print(*(m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)))"
    files = [path for path in bare(code).stdout.split() if Path(path).is_relative_to(PROJECT)]
    assert len(files) > 9
    vermin = Path(sys.executable).with_name("vermin")
    command = [vermin, f"--target={OLDEST_PYTHON}-", "--violations", *files]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_without_tensorrt_the_command_says_where_to_run_it(repository):
    result = bare(RUN, "--repository", str(repository), "--name", NAME)
    assert result.returncode == 1
    assert "TensorRT's Python package is missing" in result.stderr
    assert "nvcr.io/nvidia/tensorrt" in result.stderr


def test_plans_are_checked_by_the_libraries_that_triton_has(repository, libraries):
    for model in (f"{NAME}_encoder", f"{NAME}_decoder"):
        folder = repository / model
        (folder / "1" / "plan.json").write_text(METADATA.to_json())
        (folder / "1" / "model.plan").write_bytes(b"plan")
        (folder / "config.pbtxt").write_bytes((folder / "configs" / "tensorrt.pbtxt").read_bytes())
    given = ("--repository", str(repository), "--name", NAME, "--check")
    environment = {"LD_LIBRARY_PATH": str(libraries), "FAKE_GPUS": GPU}
    result = bare(RUN, *given, **environment)
    # METADATA's graph is not this repository's; version and GPU are.
    assert result.returncode == 1
    reason = result.stderr.splitlines()[-1]
    assert reason.count("was built from another export") == 2
    assert "here is" not in reason
    result = bare(RUN, *given, **(environment | {"FAKE_GPUS": "NVIDIA Other"}))
    assert "here is NVIDIA Other (compute capability 9.0)" in result.stderr
    assert ENCODER in result.stderr
