"""Recorded speech for decoding benchmarks: a served model's ``log_probs`` of a manifest.

The acoustic model runs once; :mod:`client.evaluation.tuning.acoustics` keeps its outputs on disk.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import SpeechError
from client.commands.arguments import add_model
from client.decoding import Decoder
from client.evaluation.acoustic_cache import AcousticCache, default_folder
from client.evaluation.tuning.acoustics import Failure, compute
from client.manifests.manifest import read_manifest
from client.wire.contract import Contract
from client.wire.transport import TransportOptions, TritonTransport


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

    Raises :class:`SpeechError` when one cannot be used, and the client's errors when the server
    cannot.
    """
    options = TransportOptions()
    transport = TritonTransport(url, model, options)
    try:
        cache = AcousticCache(default_folder(), transport.contract)
        entries = (entry for manifest in manifests for entry in read_manifest(manifest))
        found = list(compute(entries, transport, cache, options.max_in_flight))
    finally:
        transport.close()
    utterances = []
    for each in found:
        if isinstance(each, Failure):
            raise SpeechError(f"{each.name}: {each.error}")
        utterances.append(each)
    if not utterances:
        raise SpeechError(f"{', '.join(map(str, manifests))}: no utterances, expected some")
    return Speech(
        transport.contract,
        [np.array(utterance.log_probs()) for utterance in utterances],  # out of the mapped files
        [utterance.reference for utterance in utterances],
    )
