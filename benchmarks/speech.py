"""Recorded speech for decoding benchmarks: a served model's ``log_probs`` of a manifest.

The acoustic model runs once; :mod:`client.evaluation.acoustics` keeps its outputs on disk.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import SpeechError
from client.audio.options import STRICT
from client.commands.arguments import add_model
from client.decoding import Decoder
from client.evaluation.acoustic_cache import default_folder
from client.evaluation.acoustics import AcousticOptions, acoustic_models
from client.evaluation.tuning.parts import Example, read_examples
from client.wire.contract import Contract


@dataclass(frozen=True)
class Speech:
    """Utterances: ``log_probs`` of each, ``float32 [S, V]``, and what was said."""

    contract: Contract
    log_probs: Sequence[NDArray[Any]]
    references: Sequence[str]

    @property
    def audio_s(self) -> float:
        """Seconds of audio, as frames count them."""
        return sum(map(len, self.log_probs)) * self.contract.frame_stride_s

    def texts(self, decoder: Decoder) -> list[str]:
        """What the decoder makes of each utterance."""
        return [decoder.decode(log_probs).text for log_probs in self.log_probs]


def add_speech(parser: ArgumentParser) -> None:
    """The server, its model and the recordings; :func:`speech_of` loads them."""
    add_model(parser)
    add_manifests(parser)


def add_manifests(parser: ArgumentParser) -> None:
    """``--manifest``, once or more."""
    parser.add_argument(
        "--manifest",
        type=Path,
        required=True,
        action="append",
        metavar="M.jsonl",
        help="JSON Lines with text; may be repeated",
    )


def speech_of(args: Namespace) -> Speech:
    """The speech of the arguments; raises as :func:`load_speech` does."""
    return load_speech(args.url, args.model, args.manifest)


def load_speech(url: str, model: str, manifests: Sequence[Path]) -> Speech:
    """The utterances of the manifests.

    Raises :class:`SpeechError` when a recording cannot be used, and the client's errors when a
    manifest or the server cannot.
    """
    examples: list[Example] = []
    options = AcousticOptions(audio=STRICT, cache=default_folder())
    with acoustic_models(url, [model], options) as models:
        for manifest in manifests:
            found, failures = read_examples(manifest, models[model])
            for each in failures:
                raise SpeechError(f"{each.name}: {each.error}")
            examples += found
    return Speech(
        models[model].contract,
        [np.array(example.output.log_probs()) for example in examples],  # out of the mapped files
        [example.reference for example in examples],
    )
