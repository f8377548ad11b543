"""Where the page finds an utterance's sound: in its file, or in the page itself."""

import base64
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

import soundfile

from ...audio import AudioOptions, load_audio
from ...errors import AudioError
from ..result import Utterance


@dataclass(frozen=True)
class Sound:
    """An address for the browser, if there is one; the utterance begins at ``offset_s``."""

    address: str | None
    offset_s: float = 0.0


AudioOf: TypeAlias = Callable[[Utterance], Sound]


def linked(page: Path) -> AudioOf:
    """Files by links relative to the page, so that both can be moved together."""
    folder = page.absolute().parent

    def link(utterance: Utterance) -> Sound:
        clip = utterance.clip
        if not isinstance(clip.source, (Path, str)):
            return Sound(None)
        relative = os.path.relpath(Path(clip.source).absolute(), folder)
        return Sound(quote(os.fsencode(relative)), clip.offset_s)

    return link


def embedded(sample_rate_hz: int, options: AudioOptions) -> AudioOf:
    """What the model heard, mono at its rate, as FLAC; no sound where the file is gone."""

    def embed(utterance: Utterance) -> Sound:
        try:
            samples = load_audio(utterance.clip, sample_rate_hz, options, lambda _: None)
        except AudioError:
            return Sound(None)
        stream = io.BytesIO()
        soundfile.write(stream, samples, sample_rate_hz, format="FLAC")
        return Sound(f"data:audio/flac;base64,{base64.b64encode(stream.getvalue()).decode()}")

    return embed
