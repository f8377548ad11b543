"""Where models' outputs are kept: a file for each recording, and beside it the facts to read it by.

Outputs are kept as they came, in float32: what is made of them must not depend on whether they were
kept. Those of a recording that was cut are its segments' one after the other.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..audio import Clip
from ..decoding import Decoder
from ..decoding.log_probs import check_log_probs
from ..decoding.stage import decoded
from ..errors import AudioError, OutputError
from ..transcript import Segment, Transcript, joined
from ..utils.files import check_folder, written_whole
from ..utils.shortened import shortened
from ..wire.contract import Contract


class CachedSegment(NamedTuple):
    """Where a segment lies in its recording, how many frames of the outputs are its own, whose."""

    start_s: float
    end_s: float
    n_frames: int
    channel: int | None = None
    speaker: str | None = None


Segments: TypeAlias = tuple[CachedSegment, ...]


class Facts(NamedTuple):
    """What is known of a recording: its length, if nothing was wrong with it, and its segments.

    ``segments`` are ``None`` if it was not cut.
    """

    duration_s: float | None
    segments: Segments | None


@dataclass(frozen=True)
class AcousticOutput:
    """The file of an entry's ``log_probs``, and the length of its audio.

    ``whole`` is false where they are those of several windows or segments.
    """

    path: Path
    duration_s: float
    segments: Segments | None = None
    whole: bool = True

    def log_probs(self) -> NDArray[Any]:
        """``float32 [S, V]``, mapped into memory."""
        return read_log_probs(self.path)

    def decoded(self, decoder: Decoder) -> Transcript:
        """The transcript, as ``transcribe`` makes it; raises ``DecoderError``."""
        log_probs = self.log_probs()
        if self.segments is None:
            return decoded(decoder, log_probs, self.duration_s)
        parts = []
        at = 0
        for start_s, end_s, n_frames, channel, speaker in self.segments:
            outputs = log_probs[at : at + n_frames]
            at += n_frames
            segment = Segment("", start_s, end_s, channel=channel, speaker=speaker)
            parts.append((segment, decoded(decoder, outputs, end_s - start_s)))
        return joined(parts)


class AcousticCache:
    """One model's files in ``folder``: what they are named, which are sound, and how to write them.

    A model is its checkpoint, precision and exporter; audio is a file's path, size and time of
    change, the piece of it, and its given segments.
    """

    def __init__(self, folder: Path, contract: Contract) -> None:
        model = (contract.checkpoint_sha256, contract.precision, contract.exporter_version)
        self._folder = folder / _digest(*model)
        _make_folder(self._folder)
        self._n_tokens = contract.blank + 1

    def path(self, clip: Clip) -> Path:
        """The clip's file, there or not; raises ``AudioError`` when there is no audio."""
        name = str(clip.source)
        try:
            source = Path(name).resolve()
            status = source.stat()
        except (OSError, RuntimeError, ValueError) as error:  # also for what cannot be a path
            reason = getattr(error, "strerror", None) or f"cannot be a path ({error})"
            raise AudioError(f"{shortened(name)}: {reason}: check the path") from error
        audio = (str(source), status.st_size, status.st_mtime_ns, clip.offset_s, clip.duration_s)
        spans = None if clip.segments is None else [astuple(span) for span in clip.segments]
        return self._folder / f"{_digest(*audio, spans)}.npy"

    def read(self, path: Path) -> Facts | None:
        """What is known of the file's recording, if the file is there and sound."""
        try:
            log_probs = read_log_probs(path)
            check_log_probs(log_probs, self._n_tokens)
            facts = _facts(json.loads(_facts_path(path).read_bytes()))
        except Exception:  # noqa: BLE001 -- however it is damaged, it is computed again
            return None
        frames = [each.n_frames for each in facts.segments or ()]
        fit = facts.segments is None or (
            sum(frames) == len(log_probs) and min(frames, default=0) >= 0
        )
        return facts if fit else None

    def store(self, path: Path, log_probs: Sequence[NDArray[Any] | None], facts: Facts) -> None:
        """Write the file; raises ``DecoderError`` when these are no ``log_probs``."""
        parts = [each for each in log_probs if each is not None]
        for each in parts:
            check_log_probs(each, self._n_tokens)
        outputs = np.concatenate([np.zeros((0, self._n_tokens), np.float32), *parts])
        with written_whole(path) as part, part.open("wb") as stream:
            np.save(stream, outputs)
        with written_whole(_facts_path(path)) as part:
            part.write_text(json.dumps(facts._asdict()))


def _facts_path(path: Path) -> Path:
    """The file beside the outputs that tells of their audio; without it they do not count."""
    return path.with_suffix(".json")


def _facts(stored: dict[str, Any]) -> Facts:
    """Raises any error where they are damaged."""
    duration_s, segments = stored["duration_s"], stored["segments"]
    return Facts(
        None if duration_s is None else float(duration_s),
        None if segments is None else tuple(_segment(*each) for each in segments),
    )


def _segment(
    start_s: float, end_s: float, n_frames: int, channel: int | None, speaker: str | None
) -> CachedSegment:
    return CachedSegment(float(start_s), float(end_s), int(n_frames), channel, speaker)


def default_folder() -> Path:
    """Where caches belong on this system (XDG Base Directory Specification)."""
    try:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as in containers
        caches = Path(tempfile.gettempdir())
    return caches / "nemo-ctc-triton"


@contextmanager
def cache_folder(cache: Path | None) -> Iterator[Path]:
    """``cache``, or a temporary folder for ``None``: on disk, as /tmp is memory on some systems.

    Raises ``OutputError`` when it cannot be made.
    """
    folder = default_folder() if cache is None else cache
    _make_folder(folder)
    if cache is not None:
        yield cache
        return
    with tempfile.TemporaryDirectory(prefix="evaluate-", dir=folder) as temporary:
        yield Path(temporary)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"the folder for caches cannot be made: {error.strerror}: choose another one"
        raise OutputError.of(folder, reason, options=("AcousticOptions.cache",)) from error
    check_folder(folder)


def read_log_probs(path: Path) -> NDArray[Any]:
    """What ``AcousticCache.store`` wrote, ``float32 [S, V]``, mapped into memory."""
    mapped: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")  # type: ignore[no-untyped-call]
    return mapped


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
