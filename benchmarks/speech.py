"""Recorded speech for decoding benchmarks: a served model's ``log_probs`` of a manifest.

The acoustic model runs once; :mod:`client.tuning.acoustics` keeps its outputs on disk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.errors import SpeechError
from client.acoustic_cache import AcousticCache, default_folder
from client.contract import Contract
from client.manifest import read_manifest
from client.transport import TransportOptions, TritonTransport
from client.tuning.acoustics import Failure, compute


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
