"""The contract between a served model and its clients: tensor names and the model's facts.

``export`` writes a ``Contract`` as JSON into the ensemble's ``config.pbtxt``; ``client``
reads it back from ``GetModelConfig``. Both validate it here, and nowhere else.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Final

from ..errors import ContractError

CONTRACT_VERSION: Final = 1
CONTRACT_PARAMETER: Final = "contract"

AUDIO_SIGNAL: Final = "audio_signal"
FEATURES: Final = "features"
FEATURES_LENGTH: Final = "features_length"
ENCODED: Final = "encoded"
ENCODED_LENGTH: Final = "encoded_length"
LOG_PROBS: Final = "log_probs"
TOKENS: Final = "tokens"
TOP_TOKENS: Final = "top_tokens"
TOP_LOG_PROBS: Final = "top_log_probs"
LOG_PROBS_LENGTH: Final = "log_probs_length"

VOCABULARY_KINDS: Final = ("char", "sentencepiece")
AUDIO_TYPES: Final = ("INT16",)


@dataclass(frozen=True)
class Route:
    """Another queue of the same model, for utterances of at most ``max_samples``."""

    max_samples: int
    model: str


@dataclass(frozen=True, repr=False)
class Contract:
    """The facts that a client needs to use a model, and all of them.

    ``vocabulary`` excludes the blank, whose index is ``len(vocabulary)`` as in NeMo CTC.
    ``min_samples`` and ``max_samples`` bound one utterance at ``sample_rate_hz``. ``routes`` are
    queues for utterances of similar length, shortest first, if the server has any: batches then
    need little padding. The model itself takes utterances of every length.
    ``model_version`` is Triton's version of the model, a number made of the export's facts: a
    request that names it is never answered by another export that took the model's name.
    ``top_k`` is how many of each frame's best tokens ``top_tokens`` and ``top_log_probs`` hold,
    the blank always among them; ``None`` for a model without these outputs.
    """

    version: int
    audio_type: str
    sample_rate_hz: int
    min_samples: int
    max_samples: int
    feature_stride_s: float
    frame_stride_s: float
    vocabulary: tuple[str, ...]
    vocabulary_kind: str
    blank: int
    checkpoint: str
    checkpoint_sha256: str
    precision: str
    exporter_version: str
    routes: tuple[Route, ...] = ()
    model_version: int = 1
    top_k: int | None = None

    def __repr__(self) -> str:
        return (
            f"Contract({self.checkpoint!r}, {self.sample_rate_hz} Hz, {len(self.vocabulary)} "
            f"{self.vocabulary_kind} tokens, {self.precision})"
        )

    def __post_init__(self) -> None:
        """Raise ``ContractError`` naming every field that does not hold."""
        problems = list(self._problems())
        if problems:
            raise ContractError(
                "the model's contract is not valid: " + "; ".join(problems) + ". "
                "Export the model again with this version of the project."
            )

    def _problems(self) -> Iterator[str]:
        if self.version != CONTRACT_VERSION:
            yield f"version is {self.version!r}, this client reads {CONTRACT_VERSION}"
        if self.audio_type not in AUDIO_TYPES:
            yield f"audio_type is {self.audio_type!r}, expected one of {AUDIO_TYPES}"
        if not self.sample_rate_hz > 0:
            yield f"sample_rate_hz is {self.sample_rate_hz}, expected > 0"
        least, most = self.min_samples, self.max_samples
        if not 0 < least <= most:
            yield f"min_samples {least}, max_samples {most}, expected 0 < min <= max"
        feature_s, frame_s = self.feature_stride_s, self.frame_stride_s
        if not 0 < feature_s <= frame_s:
            strides = f"feature_stride_s {feature_s}, frame_stride_s {frame_s}"
            yield f"{strides}, expected 0 < feature <= frame"
        if not self.model_version > 0:
            yield f"model_version is {self.model_version}, expected > 0"
        if self.top_k is not None and not 1 < self.top_k <= len(self.vocabulary):
            most = len(self.vocabulary)
            yield f"top_k is {self.top_k}, expected 2 to {most}, the tokens without the blank"
        yield from self._vocabulary_problems()
        lengths = [route.max_samples for route in self.routes]
        if sorted(set(lengths)) != lengths or any(length < least for length in lengths):
            yield f"routes are for {lengths} samples, expected more each time"

    def _vocabulary_problems(self) -> Iterator[str]:
        if self.vocabulary_kind not in VOCABULARY_KINDS:
            kind = self.vocabulary_kind
            yield f"vocabulary_kind is {kind!r}, expected one of {VOCABULARY_KINDS}"
        if not self.vocabulary:
            yield "the vocabulary is empty"
        if self.blank != (size := len(self.vocabulary)):
            yield f"blank is {self.blank}, expected {size}, after the vocabulary"

    def model_for(self, model: str, n_samples: int) -> str:
        """The model to send an utterance of ``n_samples`` to: its route, else ``model``."""
        fitting = (route.model for route in self.routes if n_samples <= route.max_samples)
        return next(fitting, model)

    def models(self, model: str) -> list[str]:
        """The models that a server must load to use every route: ``model`` and its routes."""
        return [model, *(route.model for route in self.routes)]

    def to_json(self) -> str:
        """The contract as one line of JSON, as it stands in ``config.pbtxt``."""
        return json.dumps(asdict(self), ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> "Contract":
        """Parse and validate; fields unknown to this version are ignored.

        Raises ``ContractError`` when it is no JSON object, another version, or incomplete.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ContractError(f"the model's contract is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise ContractError(f"the model's contract is {type(data).__name__}, expected object")
        if data.get("version") != CONTRACT_VERSION:
            raise ContractError(
                f"the model's contract has version {data.get('version')!r}, this client reads "
                f"{CONTRACT_VERSION}: export the model again, or use a client of its version"
            )
        return cls(**_typed_fields(data))


def _typed_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's fields from parsed JSON, each of the declared type."""
    values: dict[str, Any] = {}
    for field in fields(Contract):
        if field.name not in data:
            if field.default is not MISSING:
                continue
            raise ContractError(
                f"the model's contract lacks {field.name!r}: export the model again"
            )
        values[field.name] = _typed(field.name, data[field.name])
    return values


def _typed(name: str, value: Any) -> Any:
    kind = Contract.__annotations__[name]
    if kind == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
    elif kind == tuple[Route, ...]:
        if isinstance(value, list) and all(_is_route(item) for item in value):
            return tuple(Route(item["max_samples"], item["model"]) for item in value)
    elif kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, kind) and not isinstance(value, bool):
        return value
    raise ContractError(
        f"the model's contract has {name} = {value!r}, expected {getattr(kind, '__name__', kind)}"
    )


def _is_route(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and type(item.get("max_samples")) is int
        and isinstance(item.get("model"), str)
    )
