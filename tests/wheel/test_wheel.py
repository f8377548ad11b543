"""The wheel installs one package, ``nemo_ctc``, which is whole and disturbs no application."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.client.support import ARPA, encoded, scripted_server
from tests.conftest import PROJECT
from tests.wheel.extras import hide_all_but

BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY_NOTICES.md")
NAMESAKES = ("client", "server", "export", "demo", "benchmarks")
PROGRAM = """
import json
import sys
{imports}
from nemo_ctc import BeamOptions, Transcriber

def main():
    url, threads = sys.argv[1], int(sys.argv[2])
    decoder = BeamOptions() if threads else None
    with Transcriber(url, "demo", decoder=decoder, threads=threads) as transcriber:
        texts = [result.transcript.text for result in transcriber.transcribe(["a.wav"])]
    print(json.dumps([texts, [{owners}], sys.modules["nemo_ctc"].__file__, sorted(sys.modules)]))

if __name__ == "__main__":
    main()
"""
COMMANDS = ["", "manifest", "transcribe", "evaluate", "lm", "lm train", "lm convert", "lm info"]
COMMANDS += ["tune", "models"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: the checkout stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copy(PROJECT / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "build")
    shutil.copytree(PROJECT / "client", folder / "client", ignore=ignored)
    command = [sys.executable, "-c", BUILD, folder]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """Where pip has installed the wheel, beside what ``.[client]`` brings and nothing else."""
    folder, hidden = installed(wheel, tmp_path_factory.mktemp("site"))
    optional = {"nemo_ctc_search", "jiwer", "optuna", "matplotlib", "ray", "sentencepiece"}
    assert {*optional, "pytest"} <= hidden
    assert not {"numpy", "grpc", "google", "soundfile", "soxr", "rich", "tritonclient"} & hidden
    return folder


@pytest.fixture(scope="module")
def site_with_search(wheel, tmp_path_factory):
    """The same beside the compiled search."""
    folder, _ = installed(wheel, tmp_path_factory.mktemp("site"), "nemo-ctc-search")
    return folder


def installed(wheel, folder, *besides):
    """A folder with the wheel, and the modules that are hidden there."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--target", folder, wheel], check=True)
    return folder, hide_all_but("client", folder, *besides)


@pytest.fixture
def application(tmp_path):
    """An application's folder, with a recording and modules that are called as our folders."""
    for name in NAMESAKES:
        (tmp_path / f"{name}.py").write_text("OWNER = 'application'\n")
    imports = "\n".join(f"import {name}" for name in NAMESAKES)
    owners = ", ".join(f"{name}.OWNER" for name in NAMESAKES)
    (tmp_path / "program.py").write_text(PROGRAM.format(imports=imports, owners=owners))
    (tmp_path / "a.wav").write_bytes(encoded(np.zeros(16000, np.int16)))
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "a.wav", "text": "cat"}\n')
    (tmp_path / "lm.arpa").write_text(ARPA)
    return tmp_path


@pytest.fixture(scope="module")
def url():
    with scripted_server() as address:
        yield address


def run(site, folder, *command):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_but_the_package_is_at_the_wheels_top_level(wheel):
    top = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert top == {"nemo_ctc", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}


def test_the_wheel_has_every_module_and_every_asset(wheel):
    client = PROJECT / "client"
    others = {"native", "node"}  # packages of their own
    modules = [path for path in client.rglob("*.py") if others.isdisjoint(path.parts)]
    assets = [client / "audio" / "vad.onnx", *(client / "evaluation/report/assets").iterdir()]
    expected = {path.relative_to(client).as_posix() for path in (*modules, *assets)}
    names = zipfile.ZipFile(wheel).namelist()
    package = {name.removeprefix("nemo_ctc/") for name in names if name.startswith("nemo_ctc/")}
    assert package == expected


@pytest.mark.parametrize("threads", [0, 1], ids=["greedy", "beam search in a thread"])
def test_an_application_with_modules_of_the_same_names_transcribes(
    site, site_with_search, application, url, threads
):
    site = site_with_search if threads else site
    done = run(site, application, "program.py", url, threads)
    assert done.returncode == 0, done.stderr
    texts, owners, package, modules = json.loads(done.stdout)
    assert texts == ["cat"]
    assert owners == ["application"] * len(NAMESAKES)
    assert Path(package).is_relative_to(site)
    assert not [name for name in modules if name.startswith(tuple(f"{n}." for n in NAMESAKES))]


def test_the_installed_command_transcribes(site, application, url):
    command = ["transcribe", "a.wav", "--model", "demo", "--url", url]
    done = run(site, application, site / "bin" / "nemo-ctc", *command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a.wav\tcat\n", "")


def test_the_installed_command_tells_its_version(site, wheel, application):
    done = run(site, application, site / "bin" / "nemo-ctc", "--version")
    assert done.stdout == f"nemo-ctc {wheel.name.split('-')[1]}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_optional_package(site, application, command):
    done = run(site, application, "-m", "nemo_ctc", *command.split(), "-h")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: nemo-ctc {command}".rstrip())


@pytest.mark.parametrize(
    ("command", "package", "source"),
    [
        ("transcribe a.wav --decoder beam --lm lm.arpa", "nemo-ctc-search", "./client/native"),
        ("lm info lm.arpa --manifest m.jsonl", "nemo-ctc-search", "./client/native"),
        ("evaluate --manifest m.jsonl", "jiwer", "'.[evaluate]'"),
        ("tune --manifest m.jsonl --lm lm.arpa --output p.json", "jiwer", "'.[tune]'"),
    ],
)
def test_a_command_names_the_package_that_it_needs(
    site, application, url, command, package, source
):
    done = run(
        site, application, "-m", "nemo_ctc", *command.split(), "--model", "demo", "--url", url
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"needs the package {package}, which is not installed" in line
    assert f"pip install {source} in the checkout" in line


def test_the_checkout_loads_the_client_under_one_name():
    modules = "client.__main__, demo.__main__, benchmarks.__main__, export.__main__, server"
    code = f"import sys, {modules}; print('nemo_ctc' in sys.modules, 'client' in sys.modules)"
    done = run(PROJECT, PROJECT, "-c", code)
    assert (done.stdout, done.stderr) == ("False True\n", "")
