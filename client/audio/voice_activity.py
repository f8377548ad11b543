"""Where somebody speaks: Silero's voice activity detector over a stream of samples.

Flow: samples ``int16 [n]`` at any rate → 16 kHz → chunks of 32 ms → probability of speech of each →
``Stretch``, samples that are speech. In pieces of any size it finds the same.

``vad.onnx`` is Silero VAD 6.2 (MIT License), made by ``export/voice_activity.py``.
"""

import math
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

from ..errors import AudioError
from ..utils.exits import Gate
from ..utils.extras import import_extra
from .conversion import FULL_SCALE, Pcm

_RATE_HZ: Final = 16000
_CHUNK: Final = 512
CHUNK_S: Final = _CHUNK / _RATE_HZ
_HYSTERESIS: Final = 0.15
_CONTEXT: Final = 64
"""Samples of the chunk before, which the network sees too."""
_MOST_CHUNKS: Final = 512
"""At once, which bounds memory."""
_STATE: Final = (1, 1, 128)


@dataclass(frozen=True)
class VadOptions:
    """What counts as speech, and what as a pause.

    The defaults are those that made the fewest word errors on joined utterances
    (``docs/decisions.md``). Raises ``AudioError`` for values that make no sense.
    """

    threshold: float = 0.5
    """Speech starts at this probability, and pauses below ``max(threshold - 0.15, threshold / 2)``.
    """
    min_silence_s: float = 0.6
    """Speech ends at a pause of at least this length."""
    padding_s: float = 0.2
    """Taken with the speech before and after it, at most half of ``min_silence_s``."""
    min_speech_s: float = 0.1
    """Shorter speech is none: a click, a cough."""
    max_speech_s: float | None = None
    """Speech that goes on longer ends where it was least probable in its second half."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise AudioError(
                f"the threshold of voice activity is {self.threshold}, expected a probability "
                "between 0 and 1",
                options=("VadOptions.threshold",),
            )
        if not 2 * CHUNK_S <= self.min_silence_s < math.inf:
            raise AudioError(
                f"the least pause is {self.min_silence_s} s, expected at least {2 * CHUNK_S:g}",
                options=("VadOptions.min_silence_s",),
            )
        if not (0 <= self.padding_s < math.inf and 0 <= self.min_speech_s < math.inf):
            raise AudioError(
                f"padding_s is {self.padding_s} and min_speech_s {self.min_speech_s}, expected "
                "seconds, at least 0"
            )
        least_s = max(1, 2 * self.min_speech_s)
        if self.max_speech_s is not None and not least_s <= self.max_speech_s < math.inf:
            raise AudioError(
                f"max_speech_s is {self.max_speech_s}, expected at least 1 and twice min_speech_s, "
                "or None for speech of any length"
            )


class Stretch(NamedTuple):
    """Samples that are speech, from ``start`` to ``end``, exclusive.

    ``last``: the speech ends there. Speech comes in one stretch or several, each of which begins
    where the one before ended.
    """

    start: int
    end: int
    last: bool


class SpeechDetector:
    """Finds the speech in one recording, for one thread at a time.

    Positions are samples of the recording at ``rate_hz``. Raises ``MissingPackage`` without
    onnxruntime.
    """

    def __init__(self, rate_hz: int, options: VadOptions) -> None:
        self._network = _Network(rate_hz)
        self._threshold = options.threshold
        self._rate_hz = rate_hz
        self._padding = round(min(options.padding_s, options.min_silence_s / 2) * rate_hz)
        self._low = max(options.threshold - _HYSTERESIS, options.threshold / 2)
        self._least_silence = round(options.min_silence_s / CHUNK_S)
        self._least_speech = options.min_speech_s / CHUNK_S
        longest_s = options.max_speech_s
        self._longest = None if longest_s is None else round(longest_s / CHUNK_S)
        self._received = 0  # samples
        self._at = 0  # chunks
        self._ended = 0  # where the speech before ended
        self._speech: _Speech | None = None

    @property
    def needed_from(self) -> int:
        """The first sample that a later stretch may hold."""
        if self._speech is not None:
            return self._speech.emitted
        return max(self._ended, self._sample(self._at) - self._padding)

    def advance(self, samples: Pcm) -> list[Stretch]:
        """What is now known to be speech, after the next samples, ``int16 [n]`` at ``rate_hz``."""
        self._received += len(samples)
        return self._stretches(self._network.advance(samples))

    def finish(self) -> list[Stretch]:
        """The rest, at the end of the recording."""
        found = self._stretches(self._network.finish())
        if (speech := self._speech) is not None and (rest := self._paused(speech)) is not None:
            found.append(rest)
        return found

    def _stretches(self, probabilities: NDArray[np.float32]) -> list[Stretch]:
        found = [
            stretch for each in probabilities if (stretch := self._step(float(each))) is not None
        ]
        if (speech := self._speech) is not None and (known := self._known(speech)) > speech.emitted:
            found.append(Stretch(speech.emitted, known, last=False))
            speech.emitted = known
        return found

    def _step(self, probability: float) -> Stretch | None:
        """Take the next chunk's; the stretch that ends the speech, if it ends."""
        at, speech = self._at, self._speech
        self._at += 1
        if speech is None:
            if probability >= self._threshold:
                begin = max(self._ended, self._sample(at) - self._padding)
                self._speech = _Speech(at, begin, [probability])
            return None
        if self._longest is not None:
            speech.probabilities.append(probability)
        if probability >= self._low:
            speech.pause = None
        elif speech.pause is None:
            speech.pause = at
        if speech.pause is not None and self._at - speech.pause >= self._least_silence:
            return self._paused(speech)
        if self._longest is not None and self._at - speech.start >= self._longest:
            return self._split(speech)
        return None

    def _paused(self, speech: "_Speech") -> Stretch | None:
        """End the speech at its pause, or at the end of the recording."""
        self._speech = None
        pause = self._pause_of(speech)
        if not self._is_speech(speech, pause):
            return None
        return self._ending(speech, min(self._sample(pause) + self._padding, self._received))

    def _split(self, speech: "_Speech") -> Stretch:
        """End the speech where it is least probable, and go on with the rest."""
        half = len(speech.probabilities) // 2
        first = half + int(np.argmin(speech.probabilities[half:]))
        end = self._sample(speech.start + first)
        rest = speech.probabilities[first:]
        pause = None if speech.pause is None else max(speech.pause, speech.start + first)
        self._speech = _Speech(speech.start + first, end, rest, pause, goes_on=True)
        return self._ending(speech, end)

    def _ending(self, speech: "_Speech", end: int) -> Stretch:
        self._ended = end
        return Stretch(speech.emitted, end, last=True)

    def _known(self, speech: "_Speech") -> int:
        """Up to where the samples surely belong to the speech, whatever follows."""
        pause = self._pause_of(speech)
        if not self._is_speech(speech, pause):
            return speech.emitted
        if self._longest is not None:  # it may be divided after its first half
            pause = min(pause, speech.start + self._longest // 2)
        # The last chunk may be filled up beyond the end of the recording.
        return max(speech.emitted, min(self._sample(pause), self._received))

    def _is_speech(self, speech: "_Speech", pause: int) -> bool:
        """Whether it is long enough; the rest of what was divided is, however short."""
        least = 1 if speech.goes_on else max(1, self._least_speech)
        return pause - speech.start >= least

    def _pause_of(self, speech: "_Speech") -> int:
        """The first chunk of its pause, or the next chunk if it has not paused."""
        return self._at if speech.pause is None else speech.pause

    def _sample(self, chunk: int) -> int:
        """Where the chunk begins."""
        return chunk * _CHUNK * self._rate_hz // _RATE_HZ


@dataclass
class _Speech:
    """Speech that goes on: its first chunk, and the sample up to which it has been emitted.

    ``probabilities`` are those of its chunks, where it may be divided.
    """

    start: int
    emitted: int
    probabilities: list[float]
    pause: int | None = None
    """The first chunk of the pause that goes on."""
    goes_on: bool = False
    """It is the rest of speech that was divided."""


class _Network:
    """The probability of speech of each chunk."""

    def __init__(self, rate_hz: int) -> None:
        self._session = _session()
        self._resampler = None
        if rate_hz != _RATE_HZ:
            self._resampler = soxr.ResampleStream(rate_hz, _RATE_HZ, 1, dtype="float32")
        self._held = np.zeros(_CONTEXT, np.float32)  # what no chunk has had as its own
        self._state = [np.zeros(_STATE, np.float32)] * 2

    def advance(self, samples: Pcm, *, last: bool = False) -> NDArray[np.float32]:
        """Those of the chunks that are now whole."""
        waveform = samples.astype(np.float32) / FULL_SCALE
        if self._resampler is not None:
            waveform = self._resampler.resample_chunk(waveform, last=last)
        held = np.concatenate((self._held, waveform))
        if last:
            held = np.pad(held, (0, (_CONTEXT - len(held)) % _CHUNK))
        n_chunks = (len(held) - _CONTEXT) // _CHUNK
        self._held = held[n_chunks * _CHUNK :].copy()
        if not n_chunks:
            return np.zeros(0, np.float32)
        chunks = np.lib.stride_tricks.sliding_window_view(held, _CONTEXT + _CHUNK)[::_CHUNK]
        starts = range(0, n_chunks, _MOST_CHUNKS)
        return np.concatenate([self._run(chunks[at : at + _MOST_CHUNKS]) for at in starts])

    def finish(self) -> NDArray[np.float32]:
        """That of the last chunk, filled with zeros, if any is left."""
        return self.advance(np.zeros(0, np.int16), last=True)

    def _run(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        h, c = self._state
        probabilities: NDArray[np.float32]
        with _gate.entered():
            probabilities, *self._state = self._session.run(
                ["speech", "next_h", "next_c"], {"chunks": chunks, "h": h, "c": c}
            )
        return probabilities


_gate: Final = Gate()
"""Closes when the interpreter exits: threads that read recordings may still run then."""


@cache
def _session() -> Any:
    """The network, which detectors share."""
    # ONNX Runtime's wheels report use to their maker unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    onnxruntime = import_extra("onnxruntime", "client", "voice activity detection")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    network = Path(__file__).with_name("vad.onnx")
    with _gate.entered():
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
