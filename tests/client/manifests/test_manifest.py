"""Manifests: a bad line is one failed entry, named by its number."""

import bz2
import gzip
import json
import re

import pytest

from client.audio import Clip
from client.errors import ManifestError
from client.manifests.manifest import Size, read_manifest, survey, with_text

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
        ({**GOOD, "offset": 10**400}, "offset is inf"),
        ({**GOOD, "offset": 0, "duration": -(10**400)}, "duration is -inf"),
        ({**GOOD, "offset": 0, "duration": -1}, "duration is -1"),
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


@pytest.mark.parametrize("more", [{}, {"duration": None}, {"duration": 0}, {"duration": 0.0}])
def test_a_piece_without_a_duration_goes_to_the_end_as_nemo_reads_it(more, manifest, tmp_path):
    (entry,) = read_manifest(manifest({"audio_filepath": "a.wav", "offset": 0.5, **more}))
    assert entry.item == Clip(tmp_path / "a.wav", 0.5)


def test_the_audio_may_be_called_as_nemo_calls_it_too(manifest, tmp_path):
    (entry,) = read_manifest(manifest({"audio_filename": "a.wav"}))
    assert (entry.item, entry.name) == (Clip(tmp_path / "a.wav"), "a.wav")


def test_audio_is_found_beside_the_manifest_or_where_its_path_says(manifest, tmp_path, monkeypatch):
    """As NeMo finds it: the home folder, and the current one where the manifest's has none."""
    home, here = tmp_path / "home", tmp_path / "here"
    for path in (home / "h.wav", here / "c.wav", here / "a.wav", tmp_path / "a.wav"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    names = [
        "a.wav",
        "~/h.wav",
        "~/gone.wav",
        "c.wav",
        "gone.wav",
        "a\0.wav",
        "~a\0/a",
        "~\ud800/a",
    ]
    entries = read_manifest(manifest(*({"audio_filepath": name} for name in names)))
    assert [str(entry.item.source) for entry in entries] == [
        f"{tmp_path}/a.wav",
        f"{home}/h.wav",
        f"{home}/gone.wav",
        "c.wav",
        f"{tmp_path}/gone.wav",
        f"{tmp_path}/a\0.wav",
        f"{tmp_path}/~a\0/a",
        f"{tmp_path}/~\ud800/a",
    ]


def test_the_reference_may_be_a_file_or_normalized_text(manifest, tmp_path):
    (tmp_path / "t.txt").write_text("one\ntwo\n", encoding="utf-8")
    audio = {"audio_filepath": "a.wav"}
    lines = [
        {**audio, "text": "as it is", "text_filepath": "t.txt"},
        {**audio, "text_filepath": "t.txt", "normalized_text": "other"},
        {**audio, "normalized_text": "other"},
        {**audio, "text": None, "normalized_text": "other"},
        {**audio, "text_filepath": "gone.txt"},
    ]
    *found, null, gone = with_text(read_manifest(manifest(*lines)))
    # NeMo leaves line breaks out, and puts no space there
    assert [entry.fields["text"] for entry in found] == ["as it is", "onetwo", "other"]
    assert "line 4 lacks text" in str(null.item)
    assert "gone.txt, which cannot be read (No such file or directory)" in str(gone.item)


def test_a_text_of_null_is_a_recording_without_reference(manifest, tmp_path):
    (entry,) = read_manifest(manifest({**GOOD, "text": None}))
    assert (entry.item, entry.text()) == (Clip(tmp_path / "a.wav"), None)


def test_a_number_too_large_for_seconds_is_no_known_duration(manifest):
    assert survey(manifest(GOOD, {**GOOD, "duration": 10**400})) == Size(2, None)


LINES = "".join(f"{json.dumps(GOOD)}\n" for _ in range(3))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(LINES.encode(), mtime=0), "is compressed with gzip"),
        (bz2.compress(LINES.encode()), "is compressed with bzip2"),
        (LINES.encode("utf-16"), "is UTF-16, expected UTF-8"),
        (LINES.encode("utf-16-le"), "is UTF-16LE"),
        (LINES.encode("utf-16-be"), "is UTF-16BE"),
        (json.dumps([GOOD, GOOD]).encode(), "is one JSON array"),
        (json.dumps([GOOD, GOOD], indent=2).encode(), "is one JSON array"),
        (json.dumps(GOOD, indent=2).encode(), "has JSON objects over several lines"),
        (b"audio,text\na.wav,one\n", "is a table with commas"),
        ("\ufeffaudio\ttext\na.wav\tone\n".encode(), "is a table with tabs"),
        (b"LJ001|one, two\nLJ002|three\n", "is a table with |"),
        (b"a.wav\nb.wav\n", "is text without any JSON object"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "is a recording"),
        (b"\xff\xfb\x90\0\n{\0", "is binary"),  # MP3 without a tag
    ],
)
@pytest.mark.parametrize("read", [survey, lambda path: next(read_manifest(path))])
def test_what_is_no_manifest_is_told_once_for_what_it_is(content, what, read, tmp_path):
    (tmp_path / "m.jsonl").write_bytes(content)
    with pytest.raises(ManifestError, match=rf"m\.jsonl: {re.escape(what)}"):
        read(tmp_path / "m.jsonl")


def test_a_first_line_that_is_none_does_not_refuse_the_others(manifest):
    first, second = read_manifest(manifest(b"audio,text", GOOD))
    assert isinstance(first.item, ManifestError)
    assert isinstance(second.item, Clip)
