"""Publishing replaces models so that a polling server never sees a mix, or changes nothing."""

import threading
import time
from pathlib import Path

import pytest

import export.assemble
from export.build import build
from export.config import parse_config
from export.errors import GraphError, RepositoryError
from export.repository import check_name, check_replaceable, publish, staging
from tests.export.support import NAME, contents, quick_build

INNER = tuple(f"{NAME}_{role}" for role in ("preprocessor", "encoder", "decoder"))
RENAMES = 8  # four models out, four in


def write_models(folder, generation):
    for name in (*INNER, NAME):
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(f'name: "{generation}"')


def publish_new(repository):
    with staging(repository) as staged:
        write_models(staged, "new")
        publish(staged, repository, NAME)


def generations(repository):
    """What a server polling now would see, model by model."""
    return {
        path.name: parse_config((path / "config.pbtxt").read_text()).name
        for path in repository.iterdir()
        if path.is_dir()
    }


def spy_on_renames(monkeypatch, before=lambda: None, after=lambda: None):
    rename = Path.rename

    def spied(self, target):
        before()
        result = rename(self, target)
        after()
        return result

    monkeypatch.setattr(Path, "rename", spied)


def fail_at(number, error):
    count = 0

    def count_up():
        nonlocal count
        count += 1
        if count == number:
            raise error

    return count_up


@pytest.mark.parametrize("old", [{}, {"old"}], ids=["first_build", "rebuild"])
def test_no_ensemble_ever_stands_over_a_mix_of_models(old, tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    if old:
        write_models(repository, "old")
    seen = []
    spy_on_renames(monkeypatch, after=lambda: seen.append(generations(repository)))
    publish_new(repository)
    assert len(seen) == (RENAMES if old else RENAMES // 2)
    for models in seen:
        assert NAME not in models or models == dict.fromkeys((*INNER, NAME), models[NAME])
    assert generations(repository) == dict.fromkeys((*INNER, NAME), "new")
    assert list(tmp_path.iterdir()) == [repository]


@pytest.mark.parametrize("number", range(1, RENAMES + 1))
@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError("disk full"), RepositoryError), (KeyboardInterrupt(), KeyboardInterrupt)],
    ids=["disk_full", "interrupt"],
)
def test_a_failed_publish_puts_the_old_models_back(number, error, raised, tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    write_models(repository, "old")
    publish_and_fail(repository, number, error, raised, monkeypatch)
    assert generations(repository) == dict.fromkeys((*INNER, NAME), "old")
    assert list(tmp_path.iterdir()) == [repository]


@pytest.mark.parametrize("number", range(1, RENAMES // 2 + 1))
def test_a_failed_first_publish_leaves_no_model(number, tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    publish_and_fail(repository, number, OSError("disk full"), RepositoryError, monkeypatch)
    assert contents(tmp_path) == {}


def publish_and_fail(repository, number, error, raised, monkeypatch):
    spy_on_renames(monkeypatch, before=fail_at(number, error))
    with pytest.raises(raised):
        publish_new(repository)


def test_builds_that_publish_at_once_do_so_one_after_the_other(tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    write_models(repository, "old")
    spy_on_renames(monkeypatch, before=lambda: time.sleep(0.01))
    failed = []

    def publish_generation(number):
        with staging(repository) as staged:
            write_models(staged, f"new {number}")
            try:
                publish(staged, repository, NAME)
            except RepositoryError as error:
                failed.append(error)

    threads = [threading.Thread(target=publish_generation, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    left = generations(repository)
    assert set(left) == {*INNER, NAME}
    assert len(set(left.values())) == 1
    assert list(tmp_path.iterdir()) == [repository]


def test_a_model_that_is_a_mount_point_is_refused_before_anything_moves(tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    write_models(repository, "old")
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == INNER[1])
    with pytest.raises(RepositoryError, match=f"{INNER[1]} is a mount point"):
        check_replaceable(repository, (*INNER, NAME), NAME)


def test_other_models_of_the_repository_are_left_alone(tmp_path):
    repository = tmp_path / "repository"
    write_models(repository, "old")
    (repository / "other").mkdir()
    (repository / "other" / "config.pbtxt").write_text('name: "other"')
    publish_new(repository)
    assert generations(repository)["other"] == "other"


@pytest.mark.parametrize("error", [GraphError("no graph"), KeyboardInterrupt()], ids=repr)
def test_an_interrupted_build_leaves_the_repository_as_it_was(
    error, quartznet, tmp_path, monkeypatch
):
    repository = tmp_path / "repository"
    build(quartznet, quick_build(repository))
    before = contents(tmp_path)
    export_graph = export.assemble.export_graph

    def fail_at_the_decoder(module, model, example, path):
        if model.role == "decoder":
            raise error
        export_graph(module, model, example, path)

    monkeypatch.setattr(export.assemble, "export_graph", fail_at_the_decoder)
    with pytest.raises(type(error)):
        build(quartznet, quick_build(repository))
    assert contents(tmp_path) == before
    assert list(tmp_path.iterdir()) == [repository]


def test_the_working_directory_can_be_the_repository(tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)
    with staging(Path()) as staged:
        assert staged.parent == tmp_path
    publish_new(Path())
    assert generations(repository) == dict.fromkeys((*INNER, NAME), "new")


@pytest.mark.parametrize("below", [".", "deeper"])
def test_a_file_in_the_repositorys_place_is_an_error_that_names_it(below, tmp_path):
    (tmp_path / "file").write_text("mine")
    repository = tmp_path / "file" / below
    with pytest.raises(RepositoryError, match="file"):
        publish_new(repository)
    assert contents(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("name", ["demo", "a", "7", "stt_en-0.2"])
def test_plain_names_are_accepted(name):
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "a\n", "_a", "é"])
def test_names_that_are_no_plain_folder_are_refused(name):
    with pytest.raises(RepositoryError, match="cannot name a model"):
        check_name(name)
