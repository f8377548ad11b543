"""A build that is killed leaves no server behind, and its files only until the next build."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from export.repository import check_replaceable, recover, staging
from export.verification.triton import PROJECT
from tests.conftest import REPOSITORY
from tests.export.support import NAME
from tests.export.test_repository import INNER, RENAMES, generations, write_models

DEADLINE_S = 60.0
STAGES = """
import sys
from pathlib import Path
from export.repository import staging
with staging(Path(sys.argv[1])) as folder:
    (folder / "half.onnx").write_bytes(b"half")
    print(folder, flush=True)
    sys.stdin.read()
"""
SERVES = """
import sys
from pathlib import Path
from export.verification.triton import embedded_server
with embedded_server(Path(sys.argv[1]), ["demo"]) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


PUBLISHES = """
import os, signal, sys
from pathlib import Path
from export.repository import publish, staging

repository, renames, *models = sys.argv[1:]
rename, left = Path.rename, [int(renames)]

def renamed(path, target):
    rename(path, target)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)

Path.rename = renamed
with staging(Path(repository)) as staged:
    for model in models:
        (staged / model / "1").mkdir(parents=True)
        (staged / model / "config.pbtxt").write_text('name: "new"')
    publish(staged, Path(repository), models[-1])
"""


@pytest.fixture
def start():
    """Run a program that prints a line when it has begun; gives the process and the line."""
    processes = []

    def start(code, *arguments):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=PROJECT, text=True, **pipes)
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def servers_of(pid):
    """The processes that a process has started, and those that these have."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(path.parent.name)
            found += [child, *servers_of(child)]
    return found


def test_the_next_build_removes_what_a_killed_one_left_and_nothing_of_one_that_runs(
    start, tmp_path
):
    repository = tmp_path / "models"
    killed, abandoned = start(STAGES, repository)
    _, in_use = start(STAGES, repository)
    killed.kill()
    killed.wait()
    os.utime(abandoned, (0, 0))
    with staging(repository) as staged:
        assert not Path(abandoned).exists()
        assert (Path(in_use) / "half.onnx").exists()
        assert staged.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [Path(in_use).name]


def kill_in_publishing(start, repository, renames, *models):
    """Leave what a build leaves that is killed after so many renames."""
    killed, _ = start(PUBLISHES, repository, renames, *models)
    assert killed.wait(DEADLINE_S) == -signal.SIGKILL
    (abandoned,) = set(repository.parent.iterdir()) - {repository}
    os.utime(abandoned, (0, 0))
    return abandoned


@pytest.mark.parametrize("renames", range(1, RENAMES + 1))
def test_the_next_build_puts_back_what_a_build_killed_in_publishing_took_away(
    renames, start, tmp_path
):
    repository = tmp_path / "models"
    write_models(repository, "old")
    abandoned = kill_in_publishing(start, repository, renames, *INNER, NAME)
    recover(repository)
    assert not abandoned.exists()
    left = "new" if renames == RENAMES else "old"
    assert generations(repository) == dict.fromkeys((*INNER, NAME), left)


@pytest.mark.parametrize("renames", range(1, RENAMES // 2))
def test_the_next_build_removes_what_a_first_build_killed_in_publishing_brought(
    renames, start, tmp_path
):
    repository = tmp_path / "models"
    (repository / "other").mkdir(parents=True)
    kill_in_publishing(start, repository, renames, *INNER, NAME)
    check_replaceable(repository, (*INNER, NAME), NAME)
    assert [path.name for path in repository.iterdir()] == ["other"]


def test_length_ranges_that_a_killed_build_brought_go_again(start, tmp_path):
    repository = tmp_path / "models"
    write_models(repository, "old")
    ranges = (f"{NAME}_preprocessor_upto_2s", f"{NAME}_upto_2s")
    kill_in_publishing(start, repository, RENAMES + 1, *INNER, *ranges, NAME)
    assert (repository / ranges[0]).exists()
    recover(repository)
    assert generations(repository) == dict.fromkeys((*INNER, NAME), "old")


def test_a_killed_build_takes_its_server_with_it(start):
    build, url = start(SERVES, REPOSITORY)
    assert url
    left = servers_of(build.pid)
    assert len(left) > 3  # our launcher, Triton, and a stub for each instance
    build.kill()
    build.wait()
    deadline_s = time.monotonic() + DEADLINE_S
    while left:
        assert time.monotonic() < deadline_s, f"processes {left} go on"
        left = [pid for pid in left if Path(f"/proc/{pid}").exists()]
        time.sleep(0.1)
