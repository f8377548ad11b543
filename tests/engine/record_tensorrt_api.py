"""Record what TensorRT's Python package offers, from the bindings on PyPI.

::

    python -m tests.engine.record_tensorrt_api 10.5.0 11.4.0.106

The bindings come without TensorRT's libraries. Libraries of the same names, whose functions do
nothing, are enough to import them and list their classes, members and argument names. The result,
``tensorrt_api.json``, is what the tests hold our calls and our stand-in against.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

RECORD = Path(__file__).with_name("tensorrt_api.json")
PACKAGE = "tensorrt_cu12_bindings"
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
FUNCTIONS = """createInferBuilder_INTERNAL createInferRefitter_INTERNAL createInferRuntime_INTERNAL
    createNvOnnxParserRefitter_INTERNAL createNvOnnxParser_INTERNAL getBuilderPluginRegistry
    getNvOnnxParserVersion getPluginRegistry initLibNvInferPlugins""".split()
CLASSES = """Builder BuilderFlag DataType IBuilderConfig ICastLayer ICudaEngine IExecutionContext
    IHostMemory ILayer ILogger INetworkDefinition IOptimizationProfile IProgressMonitor ITensor
    ITimingCache LayerType Logger MemoryPoolType NetworkDefinitionCreationFlag OnnxParser
    ParserError Runtime TensorIOMode""".split()

LIST = """
import json, re, sys
import tensorrt_bindings as trt

def arguments(function):
    # pybind11 writes "name(self: Class, first: type, second: type = 0) -> result", or several.
    found = []
    for line in (function.__doc__ or "").splitlines():
        match = re.match(r"(?:\\d+\\. )?\\w+\\((self: .*)\\) -> ", line)
        if match:
            found.append(re.findall(r"(?:^|, )(\\w+): ", match.group(1))[1:])
    return found

def members(cls):
    values = getattr(cls, "__members__", None)
    if values is not None:
        return sorted(values)
    names = [n for n in dir(cls) if not n.startswith("_")] + ["__init__"]
    listed = {n: getattr(cls, n) for n in names}
    return {n: arguments(v) if callable(v) else None for n, v in sorted(listed.items())}

json.dump({name: members(getattr(trt, name)) for name in sys.argv[1:]}, sys.stdout)
"""


def record(version: str, folder: Path) -> dict[str, object]:
    """Classes of one version: member names of enumerations, else members with their overloads."""
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder))
    subprocess.run([*pip, f"{PACKAGE}=={version}"], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    source = folder / "libraries.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in FUNCTIONS))
    for library in LIBRARIES:
        name = f"lib{library}.so.{version.partition('.')[0]}"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source],
            check=True,
        )
    listed = subprocess.run(
        [sys.executable, "-c", LIST, *CLASSES],
        check=True,
        capture_output=True,
        env={"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder)},
    )
    return dict(json.loads(listed.stdout))


def main() -> None:
    """Record the versions given."""
    versions = {}
    for version in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            versions[version] = record(version, Path(folder))
    lines = [
        f'  "{version}": {{\n'
        + ",\n".join(f'    "{name}": {json.dumps(item)}' for name, item in classes.items())
        + "\n  }"
        for version, classes in versions.items()
    ]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
