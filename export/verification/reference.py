"""What NeMo itself computes: eval mode, no dither, one utterance at a time, no padding."""

from typing import Any

import torch
from numpy.typing import NDArray

from export.checkpoint import Checkpoint
from export.modules.preprocessor import INT16_SCALE, Preprocessor
from export.verification.outputs import Outputs, max_abs


def run_nemo(checkpoint: Checkpoint, audio: NDArray[Any]) -> Outputs:
    """Transcribe int16 ``audio``, shape = (n_samples,), with the checkpoint's own modules."""
    model = checkpoint.model
    with torch.no_grad():
        signal = torch.from_numpy(audio).float().unsqueeze(0) * INT16_SCALE
        length = torch.tensor([len(audio)])
        features, frames = model.preprocessor(input_signal=signal, length=length)
        features = features[:, :, : int(frames)]  # without pad_to's padding
        log_probs, length = _log_probs(checkpoint, features)
        hypotheses = checkpoint.decoding.ctc_decoder_predictions_tensor(log_probs, length)
    return Outputs(
        features=features[0].numpy(),
        log_probs=log_probs[0].numpy(),
        tokens=log_probs[0].argmax(dim=-1).to(torch.int32).numpy(),
        text=hypotheses[0].text.lstrip(),
    )


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


def log_mel_difference(checkpoint: Checkpoint, audio: NDArray[Any]) -> float:
    """Largest difference between NeMo's and our features before normalisation, as max-abs."""
    ours, _ = Preprocessor(checkpoint.model.preprocessor.featurizer).log_mel(
        torch.from_numpy(audio), torch.tensor([[len(audio)]], dtype=torch.int32)
    )
    return max_abs(ours[0].numpy(), log_mel(checkpoint, audio))


def log_mel(checkpoint: Checkpoint, audio: NDArray[Any]) -> NDArray[Any]:
    """NeMo's features of int16 ``audio`` before normalisation, shape = (mel bands, frames)."""
    featurizer = checkpoint.model.preprocessor.featurizer
    normalize, featurizer.normalize = featurizer.normalize, None
    try:
        signal = torch.from_numpy(audio).float().unsqueeze(0) * INT16_SCALE
        features, frames = featurizer(signal, torch.tensor([len(audio)]))
    finally:
        featurizer.normalize = normalize
    values: NDArray[Any] = features[0, :, : int(frames)].numpy()
    return values
