"""What NeMo itself computes: eval mode, no dither, one utterance at a time, no padding."""

import copy
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import torch
from numpy.typing import NDArray

from export.checkpoint import Checkpoint
from export.modules.preprocessor import INT16_SCALE
from export.verification.outputs import Outputs


@lru_cache(maxsize=1)
def in_float64(checkpoint: Checkpoint) -> Checkpoint:
    """The same model with float64 parameters, which :func:`run_nemo` then computes in.

    Its results are what both NeMo's fp32 and an exported model round.
    """
    model = checkpoint.model
    parts = (model.preprocessor, model.encoder, checkpoint.head)
    preprocessor, encoder, head = (copy.deepcopy(part).double() for part in parts)
    featurizer = preprocessor.featurizer
    vars(featurizer).pop("forward", None)  # which NeMo binds to the featurizer copied from
    # "tiny" and "eps" are those of the type that features are computed in: keep float32's.
    featurizer.log_zero_guard_value = featurizer.log_zero_guard_value_fn(torch.zeros(1))
    exact = SimpleNamespace(
        preprocessor=preprocessor, encoder=encoder, decoder=head, decoding=checkpoint.decoding
    )
    return replace(checkpoint, model=exact)


def run_nemo(checkpoint: Checkpoint, audio: NDArray[Any]) -> Outputs:
    """Transcribe int16 ``audio``, shape = (n_samples,), with the checkpoint's own modules."""
    model = checkpoint.model
    with torch.no_grad():
        dtype = next(model.encoder.parameters()).dtype
        signal = torch.from_numpy(audio).to(dtype).unsqueeze(0) * INT16_SCALE
        # Not by model.preprocessor, which casts to float32 and does nothing else in eval mode.
        features, frames = model.preprocessor.featurizer(signal, torch.tensor([len(audio)]))
        features = features[:, :, : int(frames)]  # without pad_to's padding
        encoded, length = model.encoder(audio_signal=features, length=frames)
        log_probs = checkpoint.head(encoder_output=encoded)[:, : int(length)]
        hypotheses = checkpoint.decoding.ctc_decoder_predictions_tensor(log_probs, length)
    return Outputs(
        features=features[0].numpy(),
        log_probs=log_probs[0].numpy(),
        tokens=log_probs[0].argmax(dim=-1).to(torch.int32).numpy(),
        text=hypotheses[0].text.lstrip(),
    )
