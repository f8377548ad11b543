"""A documentation that lies fails: every command that it shows is run, as a reader would."""

import socket

import pytest

from tests.conftest import PROJECT
from tests.docs.commands import Block, blocks, workplace

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
RUN = [page for page in PAGES if any(not block.reason for block in blocks(page))]
GRPC_PORT = 8001


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_run_or_says_why_not(page):
    shown = page.read_text(encoding="utf-8").count("```sh\n")
    assert len(blocks(page)) == shown


def test_commands_are_read_as_a_shell_does():
    block = Block("a.md", 1, "one \\\n  two  # three\n# four\n\nfive\n")
    assert block.commands == ["one    two  # three", "five"]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_what_a_page_shows_works(page, tmp_path, request):
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", GRPC_PORT)) == 0:
            pytest.fail(f"something listens on port {GRPC_PORT} already, which the pages use")
    first = page.name == "README.md"  # where a reader begins; what it makes, the others take
    repository = request.getfixturevalue("demo_repository" if first else "english_repository")
    with workplace(tmp_path, repository) as place:
        if not first:
            place.run("make serve")
        for block in blocks(page):
            for command in block.commands if not block.reason else ():
                place.run(command)


@pytest.fixture(scope="module")
def english_repository(demo_repository, tmp_path_factory):
    """The demo's and a reader's own model, as the README's first commands leave them."""
    folder = tmp_path_factory.mktemp("english")
    with workplace(folder, demo_repository) as place:
        place.run("make export CHECKPOINT=my_model.nemo NAME=english ARGS=--without-triton")
    return folder / "model_repository"
