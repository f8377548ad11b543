"""Loading a NeMo checkpoint: from a ``.nemo`` file, NGC or Hugging Face, in eval mode."""

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from nemo.collections.asr.models import (
    ASRModel,
    EncDecCTCModel,
    EncDecCTCModelBPE,
    EncDecHybridRNNTCTCBPEModel,
    EncDecHybridRNNTCTCModel,
)
from nemo.collections.asr.modules import AudioToMelSpectrogramPreprocessor, ConvASRDecoder
from nemo.collections.common.tokenizers import SentencePieceTokenizer
from torch import nn

from client.vocabulary import Detokenizer
from export.errors import CheckpointError
from export.families import SUPPORTED, Family, family_of
from export.record import sha256_of

HYBRIDS: Final = (EncDecHybridRNNTCTCModel, EncDecHybridRNNTCTCBPEModel)
"""RNNT-CTC and TDT-CTC models: their CTC head is exported, their transducer is not."""

_VOCABULARIES: Final = "exported are characters and SentencePiece units"

SUBWORD_MODELS: Final = (EncDecCTCModelBPE, EncDecHybridRNNTCTCBPEModel)
MODELS: Final = (EncDecCTCModel, EncDecCTCModelBPE, *HYBRIDS)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model and where it came from; ``name`` is the file's or the pretrained name."""

    model: Any
    name: str
    sha256: str

    @property
    def head(self) -> nn.Module:
        """The CTC decoder."""
        module: nn.Module = getattr(self.model, "ctc_decoder", self.model.decoder)
        return module

    @property
    def decoding(self) -> Any:
        """NeMo's greedy CTC decoding, from log-probabilities to text."""
        return getattr(self.model, "ctc_decoding", self.model.decoding)

    @property
    def family(self) -> Family:
        """How the encoder is exported."""
        return family_of(self.model.encoder)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The output units in order, without the blank."""
        return tuple(self.head.vocabulary)

    @property
    def vocabulary_kind(self) -> str:
        """The contract's name for how units make words."""
        return "sentencepiece" if isinstance(self.model, SUBWORD_MODELS) else "char"

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
    if target not in (model.__name__ for model in MODELS):
        raise CheckpointError(
            f"{path.name} holds a {target}; exported are CTC models, and the CTC head of hybrid"
            f" RNNT-CTC and TDT-CTC models, with an encoder of {SUPPORTED}"
        )
    tokenizer = str((config.get("tokenizer") or {}).get("type", "bpe")).lower()
    if tokenizer != "bpe":  # NeMo asks Hugging Face for parts of some others
        raise CheckpointError(f"{path.name} has a tokenizer of type {tokenizer}; {_VOCABULARIES}")
    model = _restore(path, map_location=torch.device("cpu"))
    return checkpoint_of(model, path.stem, sha256_of(path))


def checkpoint_of(model: Any, name: str, sha256: str) -> Checkpoint:
    """Check that ``model`` is of a supported kind and set it up for inference."""
    checkpoint = Checkpoint(model, name, sha256)
    family_of(model.encoder)
    parts = (
        (model.preprocessor, AudioToMelSpectrogramPreprocessor),
        (checkpoint.head, ConvASRDecoder),
    )
    for part, expected in parts:
        if type(part) is not expected:
            raise CheckpointError(
                f"{name} has a {type(part).__name__} where a {expected.__name__} is expected"
            )
    _check_tokenizer(checkpoint)
    model.eval()
    model.preprocessor.featurizer.dither = 0.0
    return checkpoint


def _check_tokenizer(checkpoint: Checkpoint) -> None:
    """Raise :class:`CheckpointError` unless the contract's vocabulary gives NeMo's text."""
    if checkpoint.vocabulary_kind == "char":
        return
    tokenizer = checkpoint.model.tokenizer
    if type(tokenizer) is not SentencePieceTokenizer:
        raise CheckpointError(
            f"{checkpoint.name} has a {type(tokenizer).__name__}; {_VOCABULARIES}"
        )
    detokenizer = Detokenizer(checkpoint.vocabulary, "sentencepiece")
    nemo_text = checkpoint.decoding.decode_tokens_to_str_with_strip_punctuation
    for token, piece in enumerate(checkpoint.vocabulary):
        # Twice, for white space at the start is dropped.
        if detokenizer.text([token] * 2).lstrip() != nemo_text([token] * 2).lstrip():
            raise CheckpointError(
                f"the tokenizer of {checkpoint.name} writes its unit {piece!r} as another text;"
                f" {_VOCABULARIES} without control or byte units"
            )


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
