"""A bundle in parts: small enough each, byte for byte the same when joined, damage is noticed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import parts
from benchmarks.gpu.parts import INDEX, PartsError, join, split

LIMIT_BYTES = 20_000


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "folder"
    (root / "deep" / "er").mkdir(parents=True)
    noise = np.random.default_rng(0).bytes(150_000)
    (root / "noise.bin").write_bytes(noise)
    (root / "deep" / "er" / "zeros.bin").write_bytes(bytes(500_000))
    (root / "deep" / "text.json").write_text("{}")
    return root


@pytest.fixture
def split_parts(folder, tmp_path):
    return split(folder, tmp_path / "parts", LIMIT_BYTES)


def contents(folder: Path):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_no_part_is_larger_than_allowed_and_zeros_take_no_room(split_parts):
    sizes = [part.stat().st_size for part in split_parts]
    assert len(sizes) == 8
    assert max(sizes) == LIMIT_BYTES


def test_parts_join_to_the_same_files(folder, split_parts, tmp_path):
    join(split_parts[0].parent, tmp_path / "joined")
    assert contents(tmp_path / "joined") == contents(folder)


def test_the_file_alone_joins_without_the_project(folder, split_parts, tmp_path):
    alone = shutil.copy(parts.__file__, tmp_path / "alone.py")
    command = [sys.executable, "-I", str(alone), "join", str(split_parts[0].parent), "joined"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert contents(tmp_path / "joined") == contents(folder)


def test_missing_and_damaged_parts_are_named_and_nothing_is_unpacked(split_parts, tmp_path):
    split_parts[1].unlink()
    data = bytearray(split_parts[3].read_bytes())
    data[77] ^= 1
    split_parts[3].write_bytes(data)
    with pytest.raises(PartsError, match=r"part-001 is missing; part-003 is damaged"):
        join(split_parts[0].parent, tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_parts_of_two_bundles_are_not_mixed(split_parts, tmp_path):
    path = split_parts[0].parent / INDEX
    index = json.loads(path.read_text())
    del index["parts"]["part-002"]
    path.write_text(json.dumps(index))
    with pytest.raises(PartsError, match="not those of one bundle"):
        join(path.parent, tmp_path / "joined")


def test_fewer_parts_leave_none_of_the_old_ones(folder, split_parts):
    (folder / "noise.bin").unlink()
    again = split(folder, split_parts[0].parent, LIMIT_BYTES)
    assert sorted(split_parts[0].parent.glob("part-*")) == again


@pytest.mark.parametrize("index", [None, "no json", "{}", '{"sha256": "x", "parts": {}}'])
def test_a_folder_without_a_readable_index_is_no_bundle(tmp_path, capsys, monkeypatch, index):
    if index is not None:
        (tmp_path / INDEX).write_text(index)
    monkeypatch.setattr(sys, "argv", ["parts", "join", str(tmp_path), str(tmp_path / "joined")])
    assert parts.main() == 1
    assert INDEX in capsys.readouterr().err
