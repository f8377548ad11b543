"""Manifests say the same to us as to NeMo: which recording, which piece of it, which text."""

import json

import numpy as np
import pytest
import soundfile
from nemo.collections.asr.parts.preprocessing.segment import AudioSegment
from nemo.collections.common.parts.preprocessing.manifest import item_iter

from client.audio import load_audio
from client.manifests.manifest import read_manifest

RATE_HZ = 16_000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Recordings in the manifest's folder, at home, and in the current one, each of its length."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    places = {"here/c.wav": 1, "here/a.wav": 2, "home/h.wav": 3, "m/a.wav": 4, "m/sub/b.wav": 5}
    for name, seconds in places.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.arange(seconds * RATE_HZ, dtype=np.int16), RATE_HZ)
    (tmp_path / "here" / "t.txt").write_text("one\ntwo\n")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize("name", ["a.wav", "sub/b.wav", "c.wav", "~/h.wav", "/here/c.wav"])
@pytest.mark.parametrize("key", ["audio_filepath", "audio_filename"])
@pytest.mark.parametrize(
    "more",
    [
        {"offset": 0, "duration": None, "text": "-"},
        {"offset": 0.25, "duration": 0, "text_filepath": "t.txt"},
        {"offset": 0.5, "duration": 0.25, "normalized_text": "x"},
    ],
    ids=str,
)
def test_a_line_is_the_same_audio_and_text(folder, name, key, more):
    manifest = folder / "m" / "m.json"
    path = f"{folder}{name}" if name.startswith("/") else name
    manifest.write_text(json.dumps({key: path, **more}))
    (theirs,) = item_iter(str(manifest))
    (ours,) = read_manifest(manifest)
    expected = AudioSegment.from_file(
        theirs["audio_file"], offset=theirs["offset"], duration=theirs["duration"]
    )
    samples = load_audio(ours.item, RATE_HZ)
    np.testing.assert_array_equal(samples, np.rint(expected.samples * 2**15))
    assert ours.text() == theirs["text"]
