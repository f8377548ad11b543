"""The wheel of the compiled search, as ``make wheel`` leaves it, needs no compiler any more."""

import re
import subprocess
import sys
import zipfile

import pytest

from tests.client.support import ARPA
from tests.conftest import PROJECT

SYSTEM = re.compile(r"(libc|libm|libz|libstdc\+\+|libgcc_s|ld-linux-.*)\.so\.\d+")
"""What every Debian with a Python has: apt itself needs it."""

PROGRAM = """
import sys
import numpy as np
from nemo_ctc_search import LanguageModel
print(LanguageModel("lm.arpa").score_sentence(["cat"]))
sys.path.insert(0, sys.argv[1])
from client.decoding import BeamDecoder, BeamOptions
from tests.client.support import CONTRACT, peaky, tokens_of
log_probs = peaky(tokens_of("cat"), CONTRACT.blank + 1)
print(BeamDecoder(CONTRACT, BeamOptions(lm="lm.arpa")).decode(log_probs).text)
"""


@pytest.fixture(scope="module")
def wheel():
    (path,) = (PROJECT / "dist").glob("nemo_ctc_search-*.whl")
    return path


def test_the_search_links_to_nothing_but_the_system(wheel, tmp_path):
    (library,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so"))
    path = zipfile.ZipFile(wheel).extract(library, tmp_path)
    headers = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True)
    needed = re.findall(r"NEEDED.*\[(.*)\]", headers.stdout)
    assert needed
    assert all(map(SYSTEM.fullmatch, needed)), needed


def test_the_search_comes_with_types_and_the_licences_of_what_is_compiled_in(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    compiled_in = (
        "kenlm/LICENSE",
        "kenlm/COPYING",
        "double-conversion/LICENSE",
        "nanobind/LICENSE",
    )
    files = {"_native.pyi", "py.typed", *(f"licenses/{name}" for name in compiled_in)}
    assert {f"nemo_ctc_search/{name}" for name in files} <= names


def test_the_search_installs_and_decodes_where_no_program_is(wheel, tmp_path):
    site = tmp_path / "site"
    bare = {"PATH": "/nonexistent", "PYTHONPATH": str(site)}
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run(command, env=bare, check=True)
    (tmp_path / "lm.arpa").write_text(ARPA)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, PROJECT],
        cwd=tmp_path,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split("\n")[1:] == ["cat", ""], done.stderr
    assert done.stdout.startswith("[(-0.1"), done.stdout
