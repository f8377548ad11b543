"""Runs NeMo itself as the reference: eval mode, no dither, one utterance at a time, no padding.

In fp32 as users run it, or in float64, which tells NeMo's own rounding from an export error.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from numpy.typing import NDArray

from export.checkpoint import Checkpoint
from export.modules.preprocessor import INT16_SCALE
from export.verification.outputs import Outputs


def run_nemo(
    checkpoint: Checkpoint, audio: NDArray[Any], dtype: torch.dtype = torch.float32
) -> Outputs:
    """Transcribe int16 ``audio``, shape = (n_samples,), with the checkpoint's own modules.

    Computes and returns ``dtype``, which is ``torch.float32`` or ``torch.float64``.
    """
    computing = _in_float64(checkpoint) if dtype == torch.float64 else nullcontext()
    with computing, torch.no_grad():
        signal = torch.from_numpy(audio).to(dtype).unsqueeze(0) * INT16_SCALE
        # Not through the preprocessor, which would only cast to float32.
        featurizer = checkpoint.model.preprocessor.featurizer
        features, frames = featurizer(signal, torch.tensor([len(audio)]))
        features = features[:, :, : int(frames)]  # without pad_to's padding
        log_probs, length = _log_probs(checkpoint, features)
        hypotheses = checkpoint.decoding.ctc_decoder_predictions_tensor(log_probs, length)
    return Outputs(
        features=features[0].numpy(),
        log_probs=log_probs[0].numpy(),
        tokens=log_probs[0].argmax(dim=-1).to(torch.int32).numpy(),
        text=hypotheses[0].text.lstrip(),
    )


@contextmanager
def _in_float64(checkpoint: Checkpoint) -> Iterator[None]:
    """Convert the modules to float64 and back in place: a copy of a large model may not fit."""
    modules = (checkpoint.model.preprocessor, checkpoint.model.encoder, checkpoint.head)
    featurizer = checkpoint.model.preprocessor.featurizer
    guard = featurizer.log_zero_guard_value
    # A word ("tiny", "eps") stands for another number in float64.
    featurizer.log_zero_guard_value = featurizer.log_zero_guard_value_fn(torch.zeros(1))
    try:
        for module in modules:
            module.double()
        yield
    finally:
        featurizer.log_zero_guard_value = guard
        for module in modules:
            module.float()


def nemo_log_probs(checkpoint: Checkpoint, features: NDArray[Any]) -> NDArray[Any]:
    """NeMo's ``log_probs`` ``[S, V]`` for an utterance's features, shape = (mel bands, frames)."""
    with torch.no_grad():
        log_probs, _ = _log_probs(checkpoint, torch.from_numpy(features.copy()).unsqueeze(0))
    values: NDArray[Any] = log_probs[0].numpy()
    return values


def _log_probs(checkpoint: Checkpoint, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``[1, S, V]`` and S, ``[1]``, for ``[1, mel bands, frames]`` without padding."""
    frames = torch.tensor([features.shape[-1]])
    encoded, length = checkpoint.model.encoder(audio_signal=features, length=frames)
    return checkpoint.head(encoder_output=encoded)[:, : int(length)], length
