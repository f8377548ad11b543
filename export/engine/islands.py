"""Layers of a TensorRT network that compute in fp32 although the graph has them in fp16.

In a strongly typed network a layer's precision is that of its inputs, so an island is made by
casts: the inputs of its layers are cast to fp32, and its outputs back.

::

    half ─► softmax ─► half      becomes      half ─► cast ─► softmax ─► cast ─► half
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

LEVELS: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("NORMALIZATION", "REDUCE", "SOFTMAX", "UNARY"),
    (
        *("NORMALIZATION", "REDUCE", "SOFTMAX", "UNARY"),
        *("ACTIVATION", "EINSUM", "ELEMENTWISE", "MATRIX_MULTIPLY", "SCALE"),
    ),
)
"""Kinds of layers (``trt.LayerType``) in fp32, from the graph's own precision upwards. First those
that sum, square, divide or exponentiate, then all without weights: weights in fp32 would lose the
gain of fp16."""

_PRODUCTS: Final = ("EINSUM", "MATRIX_MULTIPLY")


def make_islands(tensorrt: Any, network: Any, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """Compute the layers of these kinds in fp32; returns the names of those changed."""
    if not kinds:
        return ()
    graph = _Graph(tensorrt, network)
    chosen = [layer for layer in graph.layers if graph.can_be_island(layer, kinds)]
    inside = {layer.name for layer in chosen}
    uses = [use for layer in graph.layers for use in graph.half_uses(layer)]
    casts = _Casts(network)
    # All decisions come before all changes: a cast changes the types of what follows it.
    entering = [use for use in uses if use.consumer in inside and use.producer not in inside]
    leaving = [use for use in uses if use.consumer not in inside and use.producer in inside]
    for use in entering:
        use.connect(casts.to(use.tensor, tensorrt.DataType.FLOAT))
    for use in leaving:
        use.connect(casts.to(use.tensor, use.type))
    return tuple(sorted(inside))


class _Use:
    """A half-precision tensor on its way from one layer to another."""

    def __init__(self, producer: str, layer: Any, index: int, tensor: Any) -> None:
        self.producer = producer
        self.consumer: str = layer.name
        self.tensor = tensor
        self.type = tensor.dtype
        self.connect: Callable[[Any], None] = lambda cast: layer.set_input(index, cast)


class _Graph:
    """The layers of a network before any change, and the producers of its tensors."""

    def __init__(self, tensorrt: Any, network: Any) -> None:
        self._half = (tensorrt.DataType.HALF, tensorrt.DataType.BF16)
        self._kinds: dict[Any, str] = {
            getattr(tensorrt.LayerType, name): name for name in tensorrt.LayerType.__members__
        }
        self.layers = [network.get_layer(index) for index in range(network.num_layers)]
        self._producers = {
            output.name: layer for layer in self.layers for output in _outputs(layer)
        }
        self._constants: set[str] = set()
        for layer in self.layers:  # in the order they were added: after what they read
            inputs = [tensor.name for _, tensor in _inputs(layer)]
            if self.kind(layer) == "CONSTANT" or (inputs and self._constants.issuperset(inputs)):
                self._constants.update(output.name for output in _outputs(layer))

    def kind(self, layer: Any) -> str:
        """The name of the layer's type."""
        return self._kinds[layer.type]

    def can_be_island(self, layer: Any, kinds: tuple[str, ...]) -> bool:
        """Whether a layer of one of ``kinds`` is in half precision and has no weights."""
        if self.kind(layer) not in kinds or not any(self.half_uses(layer)):
            return False
        if any(output.is_network_output for output in _outputs(layer)):
            return False
        weighted = self.kind(layer) in _PRODUCTS and any(
            tensor.name in self._constants for _, tensor in _inputs(layer)
        )
        return not weighted

    def half_uses(self, layer: Any) -> Iterator[_Use]:
        """The layer's half-precision inputs."""
        for index, tensor in _inputs(layer):
            if tensor.dtype in self._half:
                producer = self._producers.get(tensor.name)
                yield _Use(producer.name if producer else "", layer, index, tensor)


class _Casts:
    """One cast for each tensor and type, however many layers use it."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._made: dict[tuple[str, Any], Any] = {}

    def to(self, tensor: Any, to_type: Any) -> Any:
        key = (tensor.name, to_type)
        if key not in self._made:
            self._made[key] = self._network.add_cast(tensor, to_type).get_output(0)
        return self._made[key]


def _inputs(layer: Any) -> Iterator[tuple[int, Any]]:
    """Index and tensor of each input; optional ones may be absent."""
    for index in range(layer.num_inputs):
        tensor = layer.get_input(index)
        if tensor is not None:
            yield index, tensor


def _outputs(layer: Any) -> list[Any]:
    return [layer.get_output(index) for index in range(layer.num_outputs)]
