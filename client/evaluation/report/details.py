"""What is drawn of the utterances with most errors, as JSON for the page's script.

Spectrograms and posteriorgrams are PNG images, small enough to stand in the page. They are computed
here and not there, for browsers do not let a page opened from a file read others.
"""

import base64
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...audio import AudioOptions, Pcm, load_audio
from ...decoding.alignment import align
from ...decoding.runs import Clock, Runs
from ...errors import AudioError, DecoderError
from ...transcript import Word
from ...vocabulary import Detokenizer
from ...wire.contract import Contract
from ..references import Spell
from ..result import Evaluation, Utterance

if TYPE_CHECKING:
    from .page import ReportOptions

LogProbs: TypeAlias = Callable[[Utterance, str], NDArray[Any] | None]
"""An utterance's ``log_probs [S, V]`` by the model of this name, where there are any."""


def details(
    evaluation: Evaluation, log_probs: LogProbs, options: "ReportOptions"
) -> dict[int, dict[str, Any]]:
    """Of the worst utterances, by their place."""
    contracts = list(evaluation.contracts.items())
    if not contracts:
        return {}
    spell = {model: options.tokenizers.spell(contract) for model, contract in contracts}
    return {
        place: {
            "spectrogram": _spectrogram(
                evaluation.utterances[place], contracts[0][1], options.audio
            ),
            "models": [
                _outputs(evaluation.utterances[place], model, outputs, contract, spell[model])
                for model, contract in contracts
                if (outputs := log_probs(evaluation.utterances[place], model)) is not None
                and len(outputs)
            ],
        }
        for place in _worst(evaluation.utterances, options)
    }


def _worst(utterances: Sequence[Utterance], options: "ReportOptions") -> list[int]:
    errors = [sum(each.words.errors for each in utterance.recognized) for utterance in utterances]
    places = [
        place
        for place, utterance in enumerate(utterances)
        if utterance.duration_s <= options.longest_detailed_s
    ]
    return sorted(places, key=lambda place: -errors[place])[: options.detailed]


def _spectrogram(utterance: Utterance, contract: Contract, options: AudioOptions) -> str | None:
    try:
        samples = load_audio(utterance.clip, contract.sample_rate_hz, options, lambda _: None)
    except AudioError:  # it was there when it was transcribed; the page tells when it is played
        return None
    return heat_map(mel_spectrogram(samples, contract.sample_rate_hz, contract.feature_stride_s))


def _outputs(
    utterance: Utterance,
    model: str,
    log_probs: NDArray[Any],
    contract: Contract,
    spell: Spell | None,
) -> dict[str, Any]:
    reference = (spell(utterance.reference) if spell else None) or []
    shown = posteriorgram(log_probs, contract, reference, utterance.duration_s)
    return {
        "model": model,
        "seconds": round(len(log_probs) * contract.frame_stride_s, 3),
        "frames": len(log_probs),
        "tokens": shown.tokens,
        "image": heat_map(np.sqrt(shown.probabilities)),  # so that second choices can be seen
        "marks": list(chain.from_iterable(shown.marks)),
        "words": [
            [word.text, round(word.start_s, 3), round(word.end_s, 3)] for word in shown.words
        ],
    }


_WINDOW_S: Final = 0.025
_BANDS: Final = 64
_RANGE_DB: Final = 70.0
"""What is so far below the loudest is as dark as silence."""
_MOST_FRAMES: Final = 1_500


def mel_spectrogram(samples: Pcm, rate_hz: int, hop_s: float) -> NDArray[Any]:
    """``samples [n]`` → log power, 0 to 1, ``[bands, frames]``, the highest band first.

    Frame ``t`` is what is around ``t * hop_s``, or further apart where these would be too many.
    """
    hop = max(round(hop_s * rate_hz), -(-len(samples) // _MOST_FRAMES), 1)
    size = round(_WINDOW_S * rate_hz)
    n_fft = 1 << (size - 1).bit_length()
    padded = np.pad(samples.astype(np.float32) / 32768, (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(samples) : hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), n_fft)) ** 2  # [frames, n_fft / 2 + 1]
    bands = power @ _filters(rate_hz, n_fft).T  # [frames, bands]
    decibels = 10 * np.log10(bands + 1e-10)
    scaled: NDArray[Any] = np.clip((decibels - decibels.max()) / _RANGE_DB + 1, 0, 1)
    return scaled.T[::-1]


def _filters(rate_hz: int, n_fft: int) -> NDArray[Any]:
    """Triangles, ``[bands, n_fft / 2 + 1]``, evenly spaced in mel (O'Shaughnessy, 1987)."""
    highest = 2595 * np.log10(1 + rate_hz / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest, _BANDS + 2) / 2595) - 1)
    low, centre, high = (edges_hz[at : at + _BANDS, None] for at in range(3))
    bins_hz = np.fft.rfftfreq(n_fft, 1 / rate_hz)
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    triangles: NDArray[Any] = np.maximum(np.minimum(rising, falling), 0)
    return triangles


BLANK: Final = "blank"
_LEAST_PROBABILITY: Final = 0.1
_MOST_ROWS: Final = 32


class Mark(NamedTuple):
    """A token of the reference: in this row, from frame ``start`` to frame ``end``."""

    row: int
    start: int
    end: int


@dataclass(frozen=True)
class Posteriorgram:
    """``probabilities [rows, S]`` of the ``tokens``, in the order of their time; the blank is last.

    ``marks`` and ``words``, with times and confidences, are the forced alignment of the reference,
    empty where its tokens are not known or do not fit in the frames.
    """

    tokens: tuple[str, ...]
    probabilities: NDArray[Any]
    marks: tuple[Mark, ...]
    words: tuple[Word, ...]


def posteriorgram(
    log_probs: NDArray[Any], contract: Contract, reference: Sequence[int], duration_s: float
) -> Posteriorgram:
    """The tokens that matter in ``log_probs [S, V]``: those of the reference, and likely ones."""
    runs = _align(log_probs, reference, contract.blank)
    probabilities = np.exp(log_probs.astype(np.float32))
    rows = _rows(probabilities, runs, contract.blank)
    detokenizer = Detokenizer(contract.vocabulary, contract.vocabulary_kind)
    place = {token: row for row, token in enumerate(rows)}
    return Posteriorgram(
        tokens=(*(detokenizer.labels[token].replace(" ", "␣") for token in rows), BLANK),
        probabilities=probabilities[:, [*rows, contract.blank]].T,
        marks=tuple(
            Mark(place[token], start, end)
            for token, start, end in zip(runs.tokens, runs.starts, runs.ends, strict=True)
            if token in place
        ),
        words=Clock(detokenizer, contract.frame_stride_s).words(runs, duration_s),
    )


def _align(log_probs: NDArray[Any], tokens: Sequence[int], blank: int) -> Runs:
    try:
        return align(log_probs, tokens, blank)
    except DecoderError:
        return Runs([], [], [], [])


def _rows(probabilities: NDArray[Any], runs: Runs, blank: int) -> Sequence[int]:
    """The tokens to show, in the order in which they come."""
    likely = np.flatnonzero(probabilities.max(axis=0, initial=0) >= _LEAST_PROBABILITY)
    tokens = (set(likely.tolist()) | set(runs.tokens)) - {blank}
    weight = probabilities.sum(axis=0)
    shown = sorted(tokens, key=lambda token: -weight[token])[:_MOST_ROWS]
    first = dict(zip(reversed(runs.tokens), reversed(runs.starts), strict=True))
    return sorted(shown, key=lambda token: first.get(token, int(probabilities[:, token].argmax())))


_LEVELS: Final = 32
_COLORS: Final = ((8, 6, 30), (84, 15, 109), (187, 55, 84), (249, 142, 9), (252, 253, 191))
"""From 0 to 1: dark to bright, in steps that print in grey as well."""


def heat_map(values: NDArray[Any]) -> str:
    """``values [height, width]`` in 0 to 1, the first row on top, as a ``data:`` address.

    A PNG of 8-bit palette indices (ISO/IEC 15948): ``_LEVELS`` shades compress well.
    """
    height, width = values.shape
    indices = np.rint(np.clip(values, 0, 1) * (_LEVELS - 1)).astype(np.uint8)
    rows = np.pad(indices, ((0, 0), (1, 0)))  # each row begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, data)
        for name, data in (
            (b"IHDR", header),
            (b"PLTE", _palette()),
            (b"IDAT", zlib.compress(rows.tobytes(), 9)),
            (b"IEND", b""),
        )
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _palette() -> bytes:
    at = np.linspace(0, len(_COLORS) - 1, _LEVELS)
    channels = [
        np.interp(at, range(len(_COLORS)), channel) for channel in zip(*_COLORS, strict=True)
    ]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8).tobytes()  # [levels, 3]


def _chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
