"""An fp32 encoder to int8: static quantisation with QuantizeLinear and DequantizeLinear nodes.

Convolutions and products with weights are quantised, per channel; the rest, attention products
included, stays in fp32. When the greedy tokens then agree too little with the fp32 encoder's, the
layers that hurt most go back to fp32, as few as needed.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static
from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data
from onnxruntime.quantization.shape_inference import quant_pre_process

from client.wire.contract import LOG_PROBS
from export.errors import GraphError
from export.precision.feeds import Array, Feed, Graphs, run, tokens
from export.precision.files import external_files, replace_graph
from export.precision.ranges import activation_ranges
from export.process import Progress

QUANTISED_OPERATORS: Final = ("Conv", "Gemm", "MatMul")
"""Those of them that multiply with weights."""


@dataclass(frozen=True)
class Int8Options:
    """How an encoder is quantised.

    ``symmetric_activations``: signed with zero point 0, and biases in fp32, which is all that
    TensorRT reads; otherwise unsigned with a zero point, which CPUs run faster.
    ``least_agreement``: the least share of frames whose greedy token is the fp32 encoder's, on
    the first ``judged_utterances`` of the calibration utterances. ``ranked_utterances``: on how
    many of them each layer alone is tried, when that is not reached with all layers.
    """

    symmetric_activations: bool = False
    least_agreement: float = 0.992
    judged_utterances: int = 64
    ranked_utterances: int = 8


@dataclass(frozen=True)
class Quantised:
    """The outcome: layers in int8 and those kept in fp32, by node name; the agreement reached."""

    layers: tuple[str, ...]
    kept_in_fp32: tuple[str, ...]
    agreement: float


def quantise_encoder(
    graphs: Graphs,
    target: Path,
    utterances: Iterable[Array],
    options: Int8Options,
    progress: Progress,
) -> Quantised:
    """Write the encoder of fp32 ``graphs`` in int8 to ``target``, which may be its own file.

    ``utterances`` are int16 speech to calibrate on, each of shape = (n_samples,). They run one by
    one, so that no padding is measured. ``progress`` is told of each step. Raises
    :class:`GraphError` when there is nothing to quantise or to calibrate on, or when the agreement
    is not reached even with a single layer in int8; ``target`` is then unchanged.
    """
    feeds = list(graphs.features(utterances))
    if not feeds:
        raise GraphError("int8 needs utterances to calibrate on, and got none: give a manifest")
    with TemporaryDirectory(dir=target.parent) as folder, _without_advice():
        quantiser = _Quantiser(graphs, feeds, options, progress, Path(folder))
        quantised = quantiser.search()
        replace_graph(onnx.load(quantiser.result), target)
    return quantised


class _Quantiser:
    """Quantises some of the layers or others; the activations' ranges are measured once."""

    def __init__(
        self,
        graphs: Graphs,
        feeds: Sequence[Feed],
        options: Int8Options,
        progress: Progress,
        folder: Path,
    ) -> None:
        self.result = folder / "quantised.onnx"
        self._graphs = graphs
        self._feeds = feeds
        self._options = options
        self._progress = progress
        self._ranges = folder / "ranges.json"
        self._large = bool(external_files(graphs.encoder))
        self._typed = folder / "typed.onnx"
        quant_pre_process(
            graphs.encoder,
            self._typed,
            skip_optimization=True,  # nodes keep their names
            skip_symbolic_shape=True,
            save_as_external_data=self._large,
        )
        self._layers = _weighted_layers(self._typed)
        if not self._layers:
            raise GraphError(f"{graphs.encoder} has no layer to quantise: build it in fp16")
        self._judged = feeds[: options.judged_utterances]
        self._expected = tokens(graphs.encoder, graphs.decoder, self._judged)

    def search(self) -> Quantised:
        """Keep as few of the worst layers in fp32 as the agreement needs."""
        self._progress(f"calibrating on {len(self._feeds)} utterances")
        self._calibrate()
        goal = self._options.least_agreement
        agreement = self._try(self._layers)
        if agreement >= goal:
            return Quantised(self._layers, (), agreement)
        worst_first = self._ranked()
        kept = fewest(
            lambda count: self._try(worst_first[count:]) >= goal, most=len(worst_first) - 1
        )
        if kept is None:
            raise GraphError(
                f"int8 agrees with fp32 in {agreement:.2%} of the frames, and with all layers but"
                f" one in fp32 still in less than {goal:.2%}: build in fp16, calibrate on more"
                " speech, or ask for less agreement"
            )
        agreement = self._try(worst_first[kept:])
        return Quantised(tuple(worst_first[kept:]), tuple(worst_first[:kept]), agreement)

    def _calibrate(self) -> None:
        ranges = activation_ranges(self._typed, self._feeds)
        ends = {name: tuple(map(np.float32, ends)) for name, ends in ranges.items()}
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, ends), self._ranges)

    def _ranked(self) -> list[str]:
        """The layers, the one first that alone in int8 changes the probabilities most."""
        feeds = self._judged[: self._options.ranked_utterances]
        expected = self._probabilities(self._graphs.encoder, feeds)
        changes = {}
        for number, layer in enumerate(self._layers, start=1):
            self._progress(f"trying layer {number} of {len(self._layers)} alone: {layer}")
            self._quantise([layer])
            actual = self._probabilities(self.result, feeds)
            changes[layer] = float(np.square(actual - expected).mean())
        return sorted(changes, key=changes.__getitem__, reverse=True)

    def _probabilities(self, encoder: Path, feeds: Sequence[Feed]) -> Array:
        """Of each frame of all utterances; shape = (frames, V)."""
        outputs = run(self._graphs.decoder, run(encoder, feeds), outputs=(LOG_PROBS,))
        log_probs: Array = np.concatenate([values[LOG_PROBS][0] for values in outputs])
        return np.exp(log_probs)

    def _try(self, layers: Sequence[str]) -> float:
        """Quantise ``layers``; return the share of frames that keep their tokens."""
        self._quantise(layers)
        actual = tokens(self.result, self._graphs.decoder, self._judged)
        equal = sum(int(np.sum(a == b)) for a, b in zip(self._expected, actual, strict=True))
        agreement = equal / sum(map(len, actual))
        self._progress(
            f"{len(layers)} of {len(self._layers)} layers in int8: {agreement:.2%} tokens agree"
        )
        return agreement

    def _quantise(self, layers: Sequence[str]) -> None:
        symmetric = self._options.symmetric_activations
        quantize_static(
            self._typed,
            self.result,
            None,  # the ranges are there
            op_types_to_quantize=list(QUANTISED_OPERATORS),
            nodes_to_quantize=list(layers),
            per_channel=True,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            calibration_cache_path=self._ranges,
            use_external_data_format=self._large,
            extra_options={
                "ActivationSymmetric": symmetric,
                "QuantizeBias": not symmetric,
                # A product goes on to its bias: rounding it first loses and gains nothing.
                "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
            },
        )


def fewest(enough: Callable[[int], bool], most: int) -> int | None:
    """The least count from 1 to ``most`` that is enough, None when ``most`` is not.

    What is enough is taken to stay enough when more: few counts are tried, the small ones first.
    """
    low, high = 0, 1
    while high <= most and not enough(high):
        low, high = high, min(2 * high, most) if high < most else most + 1
    if high > most:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def _weighted_layers(path: Path) -> tuple[str, ...]:
    """Names of the nodes of the graph at ``path`` that multiply with weights.

    A product with a matrix for each head is one of attention.
    """
    graph = onnx.load(path, load_external_data=False).graph
    axes = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    return tuple(
        node.name
        for node in graph.node
        if node.op_type in QUANTISED_OPERATORS
        and node.input[1] in axes
        and (node.op_type == "Conv" or axes[node.input[1]] == 2)
    )


@contextmanager
def _without_advice() -> Iterator[None]:
    """ONNX Runtime's tools advise through the root logger what is done here already."""
    root = logging.getLogger()
    root.addFilter(_is_not_advice)
    try:
        yield
    finally:
        root.removeFilter(_is_not_advice)


def _is_not_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
