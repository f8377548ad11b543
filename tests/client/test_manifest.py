"""Manifests: a bad line is one failed entry, named by its number."""

import json

import pytest

from client.audio import Clip
from client.errors import ManifestError
from client.manifest import Size, read_manifest, survey

GOOD = {"audio_filepath": "a.wav", "duration": 2.5, "text": "hello"}


@pytest.fixture
def manifest(tmp_path):
    def write(*lines):
        path = tmp_path / "m.jsonl"
        encoded = [x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines]
        path.write_bytes(b"\n".join(encoded))
        return path

    return write


def test_paths_are_relative_to_the_manifest_and_fields_are_kept(manifest, tmp_path):
    (entry,) = read_manifest(manifest({**GOOD, "voice": "x"}))
    assert entry.item == Clip(tmp_path / "a.wav")
    assert entry.fields == {**GOOD, "voice": "x"}


def test_absolute_paths_stay(manifest):
    (entry,) = read_manifest(manifest({"audio_filepath": "/speech/a.wav"}))
    assert str(entry.item.source) == "/speech/a.wav"


def test_an_offset_chooses_a_piece(manifest, tmp_path):
    (entry,) = read_manifest(manifest({**GOOD, "offset": 1}))
    assert entry.item == Clip(tmp_path / "a.wav", 1.0, 2.5)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([1], "JSON list"),
        ({}, "audio_filepath is None"),
        ({"audio_filepath": ""}, "audio_filepath"),
        ({"audio_filepath": 3}, "audio_filepath"),
        ({**GOOD, "text": 3}, "text is 3"),
        ({**GOOD, "offset": -1}, "offset is -1"),
        ({**GOOD, "offset": "1"}, "offset is '1'"),
        ({**GOOD, "offset": True}, "offset is True"),
        (b'{"audio_filepath": "a", "offset": NaN, "duration": 1}', "offset is nan"),
        ({"audio_filepath": "a", "offset": 1}, "duration is None"),
        ({**GOOD, "offset": 1, "duration": 0}, "duration is 0"),
    ],
)
def test_a_bad_line_fails_alone_and_is_named_by_number(manifest, line, says):
    path = manifest(GOOD, line, b"  ", GOOD)
    first, bad, last = read_manifest(path)
    assert (first.item, last.item) == (Clip(path.parent / "a.wav"),) * 2
    assert (bad.line, last.line) == (2, 4)
    assert isinstance(bad.item, ManifestError)
    assert f"{path} line 2: " in str(bad.item)
    assert says in str(bad.item)


def test_bad_lines_and_no_blank_ones_are_counted(manifest):
    assert survey(manifest(GOOD, b"{", b"", GOOD)) == Size(3)


def test_a_byte_order_mark_is_no_error(manifest):
    (entry,) = read_manifest(manifest(b"\xef\xbb\xbf" + json.dumps(GOOD).encode()))
    assert entry.fields == GOOD


def test_a_manifest_that_cannot_be_read_is_one_error(tmp_path):
    for path in (tmp_path, tmp_path / "gone.jsonl"):
        with pytest.raises(ManifestError, match="cannot read"):
            next(read_manifest(path))
