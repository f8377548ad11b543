"""The ways of asking a server that are compared: types, outputs, compression, shared memory."""

from dataclasses import dataclass
from typing import Final

from benchmarks.wire.variants import FLOAT, HALF, LARGE, LARGE_HALF
from client.wire.contract import LOG_PROBS, LOG_PROBS_LENGTH, TOKENS

GREEDY: Final = (TOKENS, LOG_PROBS_LENGTH)
BEAM: Final = (LOG_PROBS, LOG_PROBS_LENGTH)
ALL: Final = (TOKENS, LOG_PROBS, LOG_PROBS_LENGTH)


@dataclass(frozen=True)
class Way:
    """How a request is sent and what is asked for.

    ``against`` names the way that it is compared with. ``compression`` is tritonclient's, of the
    request alone. ``shared_audio`` and ``shared_log_probs`` go through memory that client and
    server share, in place of gRPC.
    """

    name: str
    outputs: tuple[str, ...]
    against: str = ""
    variant: str = ""
    compression: str | None = None
    shared_audio: bool = False
    shared_log_probs: bool = False


PARTS: Final = {
    "request": (
        Way("tokens", GREEDY),
        Way("FP32 audio", GREEDY, "tokens", FLOAT),
        Way("gzip", GREEDY, "tokens", compression="gzip"),
        Way("deflate", GREEDY, "tokens", compression="deflate"),
        Way("shared audio", GREEDY, "tokens", shared_audio=True),
    ),
    "reply": (
        Way("tokens", GREEDY),
        Way("log_probs", BEAM, "tokens"),
        Way("log_probs and tokens", ALL, "tokens"),
        Way("FP16 log_probs", BEAM, "log_probs", HALF),
        Way("shared log_probs", BEAM, "log_probs", shared_log_probs=True),
        Way(
            "shared audio and log_probs",
            BEAM,
            "log_probs",
            shared_audio=True,
            shared_log_probs=True,
        ),
    ),
    "large": (
        Way("tokens", GREEDY, variant=LARGE),
        Way("log_probs", BEAM, "tokens", LARGE),
        Way("log_probs and tokens", ALL, "tokens", LARGE),
        Way("FP16 log_probs", BEAM, "log_probs", LARGE_HALF),
        Way("shared log_probs", BEAM, "log_probs", LARGE, shared_log_probs=True),
        Way(
            "shared audio and log_probs",
            BEAM,
            "log_probs",
            LARGE,
            shared_audio=True,
            shared_log_probs=True,
        ),
    ),
}
"""The first of a part is what a greedy client does. ``large`` is the ``reply`` of a model with the
large vocabulary."""
