"""The acoustic model's outputs: asked for once, kept, and computed again when they must be."""

import json
import os
from collections import deque
from concurrent.futures import Future
from dataclasses import replace
from threading import Timer

import numpy as np
import pytest

from client.audio import AudioOptions
from client.errors import AudioError, DecoderError, InvalidRequest, ManifestError, ServerUnavailable
from client.evaluation.acoustic_cache import default_folder
from client.evaluation.acoustics import AcousticModel, AcousticOptions
from client.evaluation.tuning.parts import read_examples
from client.manifests.manifest import read_manifest, with_text
from client.wire.contract import LOG_PROBS
from client.wire.transport import TransportOptions
from tests.client.evaluation.tuning.support import Server, log_probs_of, write_wav
from tests.client.support import CONTRACT

NAMES = ("a.wav", "b.wav", "c.wav")


@pytest.fixture
def manifest(tmp_path):
    """Three recordings of different lengths."""
    for n_samples, name in enumerate(NAMES, start=8000):
        write_wav(tmp_path / name, n_samples)
    return write_manifest(tmp_path, *({"audio_filepath": name, "text": "cat"} for name in NAMES))


def write_manifest(folder, *entries):
    path = folder / "m.jsonl"
    path.write_text("\n".join(json.dumps(entry) for entry in entries))
    return path


def model(manifest, server, in_flight=2):
    options = AcousticOptions(TransportOptions(max_in_flight=in_flight))
    return AcousticModel(server, manifest.parent / "cache", options)


def run(manifest, server, in_flight=2):
    """What became of each entry: its output or its error."""
    acoustic = model(manifest, server, in_flight)
    entries = list(with_text(read_manifest(manifest)))
    errors = {entry.line: result.error for entry, result in acoustic.run(entries)}
    assert errors.keys() == {entry.line for entry in entries}
    return [errors[entry.line] or acoustic.outputs[entry.line] for entry in entries]


def files(manifest):
    return sorted((manifest.parent / "cache").rglob("*.npy"))


def test_the_model_is_asked_once_for_log_probs_which_come_back_as_they_were(manifest):
    server = Server(lambda samples: log_probs_of("cat", "cot", len(samples) / 10_000))
    first = run(manifest, server)
    assert server.asked == [(8000, LOG_PROBS), (8001, LOG_PROBS), (8002, LOG_PROBS)]
    again = run(manifest, server)
    assert len(server.asked) == 3
    assert again == first
    for n_samples, output in enumerate(again, start=8000):
        assert output.duration_s == n_samples / CONTRACT.sample_rate_hz
        np.testing.assert_array_equal(
            output.log_probs(), log_probs_of("cat", "cot", n_samples / 10_000)
        )


def overwrite(path):
    """Put something else into a file that looks unchanged from outside."""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_sound_audio_whose_outputs_are_kept_is_not_read_again(manifest):
    first = run(manifest, Server())
    for name in NAMES:
        overwrite(manifest.parent / name)
    assert run(manifest, Server()) == first


def test_audio_is_read_again_where_its_length_is_not_kept_or_damaged(manifest):
    run(manifest, Server())
    one, other, _ = sorted((manifest.parent / "cache").rglob("*.json"))
    one.unlink()
    other.write_text("{")
    for name in NAMES:
        overwrite(manifest.parent / name)
    assert sum(isinstance(each, AudioError) for each in run(manifest, Server())) == 2


def test_kept_audio_is_still_truncated_or_too_long(manifest):
    path = manifest.parent / "b.wav"
    path.write_bytes(path.read_bytes()[:-100])
    entries = list(with_text(read_manifest(manifest)))
    for audio in (AudioOptions(), AudioOptions(), AudioOptions(strict=True)):
        options = AcousticOptions(audio=audio)
        acoustic = AcousticModel(Server(), manifest.parent / "cache", options)
        _, (_, truncated), _ = acoustic.run(entries)
        assert truncated.error if audio.strict else truncated.warnings
    options = AcousticOptions(audio=AudioOptions(max_duration_s=0.1))
    too_long = list(AcousticModel(Server(), manifest.parent / "cache", options).run(entries))
    assert {type(result.error) for _, result in too_long} == {AudioError}


def test_changed_audio_is_computed_again_and_the_rest_is_not(manifest):
    run(manifest, Server())
    write_wav(manifest.parent / "b.wav", 9000)
    server = Server()
    run(manifest, server)
    assert server.asked == [(9000, LOG_PROBS)]


def test_audio_of_the_same_size_is_told_apart_by_when_it_was_written(manifest):
    run(manifest, Server())
    os.utime(manifest.parent / "b.wav", (1, 1))
    server = Server()
    run(manifest, server)
    assert server.asked == [(8001, LOG_PROBS)]


@pytest.mark.parametrize(
    "change",
    [{"checkpoint_sha256": "1" * 64}, {"precision": "int8"}, {"exporter_version": "0.2.0"}],
)
def test_another_model_is_asked_anew(manifest, change):
    run(manifest, Server())
    server = Server(contract=replace(CONTRACT, **change))
    run(manifest, server)
    assert len(server.asked) == 3
    assert len(files(manifest)) == 6


def test_pieces_of_a_recording_are_kept_apart(manifest):
    pieces = [
        {"audio_filepath": "a.wav", "text": "cat", "offset": offset, "duration": duration}
        for offset, duration in [(0.0, 0.1), (0.1, 0.1), (0.1, 0.2)]
    ]
    server = Server()
    run(write_manifest(manifest.parent, *pieces), server)
    run(write_manifest(manifest.parent, *pieces, {**pieces[0], "text": "dog"}), server)
    assert [n_samples for n_samples, _ in server.asked] == [1600, 1600, 3200]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 no array"),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x10\x00{'descr: (((\n   "),
        lambda path: np.save(path, log_probs_of("cat") * np.nan),
        lambda path: np.save(path, log_probs_of("cat")[:, :-1]),
    ],
    ids=["empty", "something else", "truncated", "no header", "NaN", "other vocabulary"],
)
def test_a_damaged_file_is_computed_again(manifest, damage):
    run(manifest, Server())
    damage(files(manifest)[1])
    server = Server()
    outputs = run(manifest, server)
    assert len(server.asked) == 1
    for output in outputs:
        np.testing.assert_array_equal(output.log_probs(), log_probs_of("cat"))


def test_recordings_that_cannot_be_used_fail_in_their_place_and_the_others_go_on(manifest):
    (manifest.parent / "bad.wav").write_bytes(b"no audio")
    write_manifest(
        manifest.parent,
        {"audio_filepath": "gone.wav", "text": "cat"},
        {"audio_filepath": "a.wav", "text": "cat"},
        {"audio_filepath": "b.wav"},
        {"audio_filepath": "bad.wav", "text": "cat"},
        {"text": "cat"},
        {"audio_filepath": "c.wav", "text": ""},
    )
    results = run(manifest, Server())
    kinds = [type(each) if isinstance(each, Exception) else None for each in results]
    assert kinds == [AudioError, None, ManifestError, AudioError, ManifestError, None]
    assert "gone.wav: No such file" in str(results[0])
    assert "line 3 lacks text" in str(results[2])


def test_outputs_that_no_decoder_takes_are_not_kept(manifest):
    results = run(manifest, Server(lambda _: log_probs_of("cat") * np.nan))
    assert set(map(type, results)) == {DecoderError}
    assert files(manifest) == []


def failing(error):
    """A server that cannot answer for the last recording."""

    def answer(samples):
        if len(samples) == 8002:
            raise error
        return log_probs_of("cat")

    return Server(answer)


def test_a_failing_server_fails_the_recording_and_what_came_before_stays(manifest):
    *others, failed = run(manifest, failing(ServerUnavailable("down")))
    assert isinstance(failed, ServerUnavailable)
    assert len(others) == len(files(manifest)) == 2
    server = Server()
    run(manifest, server)
    assert server.asked == [(8002, LOG_PROBS)]


def test_a_failing_server_ends_a_tuning_and_what_came_before_stays(manifest):
    with pytest.raises(ServerUnavailable):
        read_examples(manifest, model(manifest, failing(ServerUnavailable("down"))))
    server = Server()
    read_examples(manifest, model(manifest, server))
    assert server.asked == [(8002, LOG_PROBS)]


def test_a_recording_that_the_server_refuses_is_left_out_of_a_tuning(manifest):
    server = failing(InvalidRequest("too long", options=("AudioOptions.max_duration_s",)))
    examples, (failure,) = read_examples(manifest, model(manifest, server))
    assert [example.reference for example in examples] == ["cat", "cat"]
    assert (failure.line, failure.name, failure.error) == (3, "c.wav", "too long")


def test_no_more_requests_are_under_way_than_allowed(manifest):
    class Slow(Server):
        """Answers the oldest request a while after there are two, or all three were asked."""

        def __init__(self):
            super().__init__()
            self.waiting = deque()
            self.most = 0

        def submit(self, samples, output):
            super().submit(samples, output)
            self.waiting.append(Future())
            self.most = max(self.most, len(self.waiting))
            if len(self.waiting) == 2:
                Timer(0.05, self.answer).start()
            return self.waiting[-1]

        def answer(self):
            self.waiting.popleft().set_result(log_probs_of("cat"))
            if len(self.asked) == 3 and self.waiting:
                self.answer()

    server = Slow()
    run(manifest, server, in_flight=2)
    assert (server.most, len(server.asked)) == (2, 3)


def test_a_file_that_cannot_be_written_whole_is_not_written(manifest, monkeypatch):
    def broken(stream, _):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", broken)
    with pytest.raises(OSError, match="No space"):
        run(manifest, Server())
    assert [path for path in (manifest.parent / "cache").rglob("*") if path.is_file()] == []


def test_the_cache_lies_where_the_system_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "nemo-ctc-triton"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(default_folder()) == "/home/someone/.cache/nemo-ctc-triton"
