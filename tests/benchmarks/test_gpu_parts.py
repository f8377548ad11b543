"""A bundle in parts: small enough each, byte for byte the same when joined, damage is noticed."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu.layout import split
from tests.conftest import PROJECT

LIMIT_BYTES = 20_000
JOIN = "(cd parts && sha256sum --check --quiet SHA256SUMS >&2 && cat part-*) | tar -xz -C bundle"
README = PROJECT / "benchmarks" / "gpu" / "README.md"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "folder"
    (root / "deep" / "er").mkdir(parents=True)
    noise = np.random.default_rng(0).bytes(150_000)
    (root / "noise.bin").write_bytes(noise)
    (root / "deep" / "link.bin").hardlink_to(root / "noise.bin")
    (root / "deep" / "er" / "zeros.bin").write_bytes(bytes(500_000))
    (root / "deep" / "text.json").write_text("{}")
    return root


@pytest.fixture
def parts(folder, tmp_path):
    (tmp_path / "bundle").mkdir()
    return split(folder, tmp_path / "parts", LIMIT_BYTES)


def join(folder):
    """Run what the README says; what it wrote to standard error, and whether it went well."""
    command = ["bash", "-o", "pipefail", "-c", JOIN]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def contents(folder: Path):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_no_part_is_larger_than_allowed_and_what_repeats_takes_no_room(parts):
    sizes = [part.stat().st_size for part in parts]
    assert len(sizes) == 8
    assert max(sizes) == LIMIT_BYTES


def test_the_readmes_line_joins_parts_to_the_same_files_and_links(folder, parts, tmp_path):
    assert JOIN in README.read_text(encoding="utf-8")
    assert join(parts[0].parent.parent)[0]
    bundle = tmp_path / "bundle"
    assert contents(bundle) == contents(folder)
    assert (bundle / "deep" / "link.bin").samefile(bundle / "noise.bin")


def test_missing_and_damaged_parts_are_named_and_nothing_is_unpacked(parts, tmp_path):
    parts[1].unlink()
    data = bytearray(parts[3].read_bytes())
    data[77] ^= 1
    parts[3].write_bytes(data)
    well, said = join(tmp_path)
    assert not well
    assert "part-001: No such file" in said
    assert "part-003: FAILED" in said
    assert contents(tmp_path / "bundle") == {}


def test_fewer_parts_leave_none_of_the_old_ones(folder, parts):
    (folder / "noise.bin").unlink()
    (folder / "deep" / "link.bin").unlink()
    again = split(folder, parts[0].parent, LIMIT_BYTES)
    assert len(again) < len(parts)
    assert sorted(parts[0].parent.glob("part-*")) == again
