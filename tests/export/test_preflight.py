"""What is bound to fail fails before NeMo is loaded, and leaves everything as it was."""

import errno
from pathlib import Path

import pytest

from export.errors import ExportError, RepositoryError
from export.preflight import built_names, check_build, check_writable
from export.serving import DEFAULT_SERVING, PRESETS
from tests.export.support import NAME, contents


def refusal(checkpoint, repository, name=NAME, manifest=None):
    with pytest.raises(ExportError) as raised:
        check_build(str(checkpoint), repository, name, DEFAULT_SERVING, [manifest])
    return str(raised.value)


def test_nothing_is_said_of_a_build_that_can_succeed_and_nothing_left(nemo_file, tmp_path):
    repository = tmp_path / "repository"
    check_build(str(nemo_file), repository, NAME, DEFAULT_SERVING, [None])
    assert list(tmp_path.iterdir()) == []
    repository.mkdir()
    check_build(str(nemo_file), repository, NAME, DEFAULT_SERVING, [nemo_file])
    assert list(repository.iterdir()) == []
    assert list(tmp_path.iterdir()) == [repository]


@pytest.mark.parametrize("path", ["gone.nemo", "/gone", "a/b/c", "./gone"])
def test_a_wrong_path_is_not_looked_for_on_the_network(path, tmp_path):
    assert "no checkpoint file at" in refusal(path, tmp_path / "repository")


def test_a_missing_manifest_is_named(nemo_file, tmp_path):
    assert "no manifest at" in refusal(
        nemo_file, tmp_path / "repository", manifest=tmp_path / "gone.jsonl"
    )


@pytest.mark.parametrize("below", ["file", "file/repository"])
def test_a_repository_that_is_a_file_or_below_one_is_refused(below, nemo_file, tmp_path):
    (tmp_path / "file").touch()
    assert f"{tmp_path / 'file'} is a file" in refusal(nemo_file, tmp_path / below)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_repository_on_another_file_system_than_its_parent_is_refused(nemo_file):
    mount = Path("/dev/shm")  # noqa: S108
    assert mount.is_mount()  # Triton's Python backend needs it too
    assert "mount a volume at the parent" in refusal(nemo_file, mount)


def test_a_repository_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    repository.mkdir()

    def read_only(_, target):
        raise OSError(errno.EROFS, "Read-only file system", str(target))

    monkeypatch.setattr(Path, "rename", read_only)  # permissions do not keep root out
    with pytest.raises(RepositoryError, match=f"{repository}: Read-only file system"):
        check_writable(repository, 0)
    assert list(tmp_path.rglob("*")) == [repository]


def test_a_repository_without_room_for_the_weights_is_refused(tmp_path):
    with pytest.raises(RepositoryError, match=r"MB free, and the model takes 1,000,000,000,000 MB"):
        check_writable(tmp_path / "repository", 10**18)
    assert list(tmp_path.iterdir()) == []


def test_models_of_others_are_found_in_time(nemo_file, tmp_path):
    repository = tmp_path / "repository"
    (repository / f"{NAME}_encoder").mkdir(parents=True)
    before = contents(tmp_path)
    assert "which no export of small wrote" in refusal(nemo_file, repository)
    assert contents(tmp_path) == before


def test_a_build_may_write_its_steps_and_those_of_its_length_ranges():
    serving = PRESETS["throughput"](2)
    names = built_names("m", serving)
    assert names[:4] == ["m", "m_preprocessor", "m_encoder", "m_decoder"]
    assert {"m_upto_4s", "m_preprocessor_upto_4s"} <= set(names)
