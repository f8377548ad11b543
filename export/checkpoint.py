"""Loading a NeMo checkpoint: from a ``.nemo`` file, NGC or Hugging Face, in eval mode."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

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
from client.wire.contract import CONTRACT_VERSION, Contract
from export.archive import check_archive, local_file, read_config
from export.errors import CheckpointError, ExportError
from export.families import SUPPORTED, Family, family_of
from export.modules.preprocessor import objections as preprocessor_objections
from export.record import DISTRIBUTION, sha256_of
from export.restoring import cause, restore
from export.saved_config import parse_config, simplify, unknown_keys
from export.tensors import MAX_DURATION_S, Pipeline, top_k_of

HYBRIDS: Final = (EncDecHybridRNNTCTCModel, EncDecHybridRNNTCTCBPEModel)
"""RNNT-CTC and TDT-CTC models, of which only the CTC head is exported."""

_VOCABULARIES: Final = "exported: characters and SentencePiece units"

MIN_FRAMES: Final = 2
"""Normalisation divides by the frames minus one."""

SUBWORD_MODELS: Final = (EncDecCTCModelBPE, EncDecHybridRNNTCTCBPEModel)
MODELS: Final = (EncDecCTCModel, EncDecCTCModelBPE, *HYBRIDS)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model and where it came from; ``name`` is the file's or the pretrained name.

    ``notes`` say what was left out of its saved configuration.
    """

    model: Any
    name: str
    sha256: str
    notes: tuple[str, ...] = ()

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
        """How units make words, as the contract names it."""
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
        encoder = self.model.encoder
        # LSTM encoders leave it to their subsampling, which is a linear layer where there is none.
        knows = encoder if hasattr(encoder, "subsampling_factor") else encoder.pre_encode
        return int(getattr(knows, "subsampling_factor", 1))

    @cached_property
    def pipeline(self) -> Pipeline:
        """The declared tensors of its graphs."""
        return self.pipeline_with(self.top_k)

    @cached_property
    def top_k(self) -> int | None:
        """How many of each frame's best tokens a new export returns."""
        return top_k_of(self.head.num_classes_with_blank)

    def pipeline_with(self, top_k: int | None) -> Pipeline:
        """The declared tensors of its graphs in an export with this ``top_k``."""
        return Pipeline.of(
            features=self.model.preprocessor.featurizer.nfilt,
            channels=self.head.decoder_layers[0].in_channels,
            vocabulary_size=self.head.num_classes_with_blank,
            top_k=top_k,
        )

    @cached_property
    def contract(self) -> Contract:
        """The contract of a build in fp32, with its family's longest utterance."""
        return self.contract_for("fp32")

    def contract_for(self, precision: str, max_duration_s: float | None = None) -> Contract:
        """The contract of a build in ``precision``; ``max_duration_s`` None is the family's.

        Raises ``ExportError`` when the longest utterance is shorter than the shortest, or
        longer than ``MAX_DURATION_S``.
        """
        rate_hz = self.sample_rate_hz
        feature_stride_s = self.hop_samples / rate_hz
        if max_duration_s is None:
            max_duration_s = self.family.max_duration_s(self.model.encoder)
        # torch centres an odd window a sample later, so each frame takes one more.
        min_samples = MIN_FRAMES * self.hop_samples + self.model.preprocessor.featurizer.n_fft % 2
        if not min_samples / rate_hz <= max_duration_s <= MAX_DURATION_S:
            raise ExportError(
                f"the longest utterance is {max_duration_s:g} s, expected"
                f" {min_samples / rate_hz:g} to {MAX_DURATION_S} s",
                options=("max_duration_s",),
            )
        contract = Contract(
            version=CONTRACT_VERSION,
            audio_type="INT16",
            sample_rate_hz=rate_hz,
            min_samples=min_samples,
            max_samples=round(max_duration_s * rate_hz),
            feature_stride_s=feature_stride_s,
            frame_stride_s=feature_stride_s * self.subsampling,
            vocabulary=self.vocabulary,
            vocabulary_kind=self.vocabulary_kind,
            blank=len(self.vocabulary),
            checkpoint=self.name,
            checkpoint_sha256=self.sha256,
            precision=precision,
            exporter_version=version(DISTRIBUTION),
            top_k=self.top_k,
        )
        return replace(contract, model_version=_version_of(contract))


def _version_of(contract: Contract) -> int:
    """A number from 1 to 2^28, a hash of ``contract`` without the checkpoint's file name."""
    digest = hashlib.sha256(replace(contract, checkpoint="").to_json().encode()).hexdigest()
    return 1 + int(digest[:7], 16)


def load_checkpoint(checkpoint: str) -> Checkpoint:
    """Load ``checkpoint``: a ``.nemo`` file, or a pretrained name on NGC or Hugging Face.

    The model is on the CPU, in eval mode, without dither, and decodes greedily. Raises
    ``CheckpointError`` when it is missing or damaged, or NeMo cannot build it;
    ``objections`` tells whether it can be exported.
    """
    path = local_file(checkpoint) or _downloaded(checkpoint)
    check_archive(path)
    config = parse_config(read_config(path), path.name)
    notes = simplify(config)
    refuse(path.name, [*_config_objections(config), *unknown_keys(config)])
    model = restore(_model_class(config), path, config)
    return checkpoint_of(model, path.stem, sha256_of(path), notes)


def checkpoint_of(model: Any, name: str, sha256: str, notes: tuple[str, ...] = ()) -> Checkpoint:
    """Set ``model`` up for inference."""
    model.eval()
    model.preprocessor.featurizer.dither = 0.0
    return Checkpoint(model, name, sha256, notes)


def refuse(name: str, objections: list[str]) -> None:
    """Raise ``CheckpointError`` with all ``objections`` to exporting ``name``, if any."""
    if objections:
        raise CheckpointError(
            f"{name} is not exported: {'; and '.join(objections)}", problems=objections
        )


def objections(checkpoint: Checkpoint) -> list[str]:
    """Everything that keeps ``checkpoint`` from being exported as NeMo computes it."""
    model = checkpoint.model
    found: list[str] = []
    if type(model.preprocessor) is AudioToMelSpectrogramPreprocessor:
        found += preprocessor_objections(model.preprocessor.featurizer)
    else:
        found.append(_kind("preprocessor", model.preprocessor, AudioToMelSpectrogramPreprocessor))
    try:
        family = checkpoint.family
    except CheckpointError as error:
        found.append(str(error))
    else:
        found += family.objections(model.encoder)
    if type(checkpoint.head) is ConvASRDecoder:
        found += _tokenizer_objections(checkpoint)
    else:
        found.append(_kind("decoder", checkpoint.head, ConvASRDecoder))
    return found


def _kind(part: str, module: nn.Module, expected: type[nn.Module]) -> str:
    return f"its {part} is of class {type(module).__name__} (exported: {expected.__name__})"


def _model_class(config: Any) -> Any:
    """The class among ``MODELS`` that ``config`` names, or None."""
    target = str(config.get("target")).rsplit(".", 1)[-1]
    return next((model for model in MODELS if model.__name__ == target), None)


def _config_objections(config: Any) -> Iterator[str]:
    """Objections known before NeMo builds the model, which may fail."""
    if _model_class(config) is None:
        target = config.get("target")
        holds = f"it holds the model {target}" if target else "its model_config.yaml has no target"
        yield (
            f"{holds} (exported: CTC models, and the CTC head of hybrid RNNT-CTC and TDT-CTC"
            f" models, with an encoder of {SUPPORTED})"
        )
    tokenizer = str((config.get("tokenizer") or {}).get("type", "bpe")).lower()
    if tokenizer != "bpe":  # NeMo asks Hugging Face for parts of some others
        yield f"it has a tokenizer of type {tokenizer} ({_VOCABULARIES})"


def _tokenizer_objections(checkpoint: Checkpoint) -> Iterator[str]:
    """Units for which the contract's vocabulary would not give NeMo's text."""
    if checkpoint.vocabulary_kind == "char":
        return
    tokenizer = checkpoint.model.tokenizer
    if type(tokenizer) is not SentencePieceTokenizer:
        yield f"it has a {type(tokenizer).__name__} ({_VOCABULARIES})"
        return
    detokenizer = Detokenizer(checkpoint.vocabulary, "sentencepiece")
    nemo_text = checkpoint.decoding.decode_tokens_to_str_with_strip_punctuation
    other = [
        piece
        for token, piece in enumerate(checkpoint.vocabulary)
        # Twice, because white space at the start is dropped.
        if detokenizer.text([token] * 2).lstrip() != nemo_text([token] * 2).lstrip()
    ]
    if other:
        units = f"its unit {other[0]!r}" + (f" and {len(other) - 1} more" if other[1:] else "")
        yield (
            f"the tokenizer writes {units} as another text ({_VOCABULARIES} without control or"
            " byte units)"
        )


def _downloaded(name: str) -> Path:
    """The ``.nemo`` file of a pretrained model in NeMo's cache, downloaded if needed."""
    try:
        return Path(ASRModel.from_pretrained(name, return_model_file=True))
    # NGC and Hugging Face fail in many ways: unknown name, no network, no access, full disk.
    except Exception as error:
        raise CheckpointError(
            f"{name!r} is neither a file nor a pretrained model that could be fetched"
            f" ({cause(error)}). Give the path of a .nemo file, or a name of"
            " NGC or Hugging Face on a machine with access to it."
        ) from error
