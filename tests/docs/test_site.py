"""The documentation as a site: made without warnings and without a network, links that hold."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import PROJECT

_WITHOUT_NETWORK = {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    built = subprocess.run(
        command,
        cwd=PROJECT,
        env={**os.environ, **_WITHOUT_NETWORK, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def pages(site):
    return sorted(path for path in site.glob("*.html") if path.name != "404.html")


def test_every_page_of_docs_is_in_the_site(site):
    written = {path.stem for path in (PROJECT / "docs").glob("*.md")}
    assert {path.stem for path in pages(site)} == written


def test_pages_fetch_nothing(site):
    for page in pages(site):
        html = page.read_text(encoding="utf-8")
        assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//', html), page


def test_the_readme_is_the_first_page_and_its_links_stay_in_the_site(site):
    html = (site / "index.html").read_text(encoding="utf-8")
    assert "make demo" in html
    assert 'href="performance.html"' in html


def test_docstrings_show_no_marks_of_sphinx(site):
    html = (site / "reference.html").read_text(encoding="utf-8")
    assert "Transcriber" in html
    assert not re.search(r":(?:class|meth|func|mod|data):", html)


def test_every_public_name_of_the_client_is_in_the_reference(site):
    import client

    html = (site / "reference.html").read_text(encoding="utf-8")
    errors = ".errors"
    missing = [
        name for name in client.__all__ if f'.{name}"' not in html and client._HOMES[name] != errors
    ]
    assert missing == []


@pytest.mark.parametrize(
    "name",
    "evaluate EvaluationOptions AcousticOptions System Scored Evaluation "
    "tune TuningOptions Space".split(),
)
def test_evaluation_and_tuning_are_in_the_reference(site, name):
    html = (site / "reference.html").read_text(encoding="utf-8")
    assert re.search(rf'"client\.evaluation\.[a-z.]+\.{name}"', html)
