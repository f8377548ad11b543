"""Loading a NeMo checkpoint: from a ``.nemo`` file, NGC or Hugging Face, in eval mode."""

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from nemo.collections.asr.models import ASRModel, EncDecCTCModel
from nemo.collections.asr.modules import (
    AudioToMelSpectrogramPreprocessor,
    ConvASRDecoder,
    ConvASREncoder,
)

from export.errors import CheckpointError

SUPPORTED = "character CTC models with a convolutional encoder (Jasper, QuartzNet)"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model and where it came from; ``name`` is the file's or the pretrained name."""

    model: EncDecCTCModel
    name: str
    sha256: str

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The output units in order, without the blank."""
        return tuple(self.model.decoder.vocabulary)

    @property
    def sample_rate_hz(self) -> int:
        """The rate of the audio that the model was trained on."""
        return int(self.model.preprocessor.featurizer.sample_rate)

    @property
    def hop_samples(self) -> int:
        """Samples from one feature frame to the next."""
        return int(self.model.preprocessor.featurizer.hop_length)

    @property
    def subsampling(self) -> int:
        """Feature frames for each frame of the encoder's output."""
        return int(self.model.encoder.subsampling_factor)


def load_checkpoint(checkpoint: str) -> Checkpoint:
    """Load ``checkpoint``: a ``.nemo`` file, or a pretrained name on NGC or Hugging Face.

    The model comes back on the CPU, in eval mode, without dither. Raises
    :class:`CheckpointError` when it is not there, damaged, or not exported by this project.
    """
    path = _local_file(checkpoint)
    config = _restore(path, return_config=True)
    target = str(config.get("target", "nothing")).rsplit(".", 1)[-1]
    if target != EncDecCTCModel.__name__:
        raise CheckpointError(f"{path.name} holds a {target}; exported are {SUPPORTED}")
    model = _restore(path, map_location=torch.device("cpu"))
    return checkpoint_of(model, path.stem, _sha256(path))


def checkpoint_of(model: EncDecCTCModel, name: str, sha256: str) -> Checkpoint:
    """Check that ``model`` is of a supported kind and set it up for inference."""
    parts = (
        (model.preprocessor, AudioToMelSpectrogramPreprocessor),
        (model.encoder, ConvASREncoder),
        (model.decoder, ConvASRDecoder),
    )
    for part, expected in parts:
        if type(part) is not expected:
            raise CheckpointError(
                f"{name} has a {type(part).__name__} where a {expected.__name__} is expected;"
                f" exported are {SUPPORTED}"
            )
    model.eval()
    model.preprocessor.featurizer.dither = 0.0
    return Checkpoint(model, name, sha256)


def _local_file(checkpoint: str) -> Path:
    path = Path(checkpoint)
    if path.is_file():
        if not tarfile.is_tarfile(path):
            raise CheckpointError(
                f"{path} is not a .nemo file: expected a tar archive with model_config.yaml and"
                " weights inside"
            )
        return path
    if path.suffix == ".nemo" or path.exists():
        raise CheckpointError(f"no checkpoint file at {path}: give a .nemo file")
    return _downloaded(checkpoint)


def _downloaded(name: str) -> Path:
    """The ``.nemo`` file of a pretrained model in NeMo's cache, fetched when not there yet."""
    try:
        return Path(ASRModel.from_pretrained(name, return_model_file=True))
    # NGC and Hugging Face fail in many ways: unknown name, no network, no access, full disk.
    except Exception as error:
        raise CheckpointError(
            f"{name!r} is neither a file nor a pretrained model that could be fetched"
            f" ({_cause(error)}). Give the path of a .nemo file, or a name of"
            " NGC or Hugging Face on a machine with access to it."
        ) from error


def _restore(path: Path, **options: Any) -> Any:
    try:
        return ASRModel.restore_from(str(path), **options)
    # A damaged archive surfaces as whatever the unpickler, YAML or tar reader trips over.
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be restored by NeMo ({_cause(error)}):"
            " the file is damaged or not a NeMo ASR checkpoint; fetch it again"
        ) from error


def _cause(error: Exception) -> str:
    """The first line: torch's and NeMo's go on with advice about their own functions."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
