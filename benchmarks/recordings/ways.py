"""The ways to cut a recording that are compared, and the transcribers that do so."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from client.decoding import DecoderOptions
from client.segmentation import VAD, WINDOW, SegmentationOptions
from client.transcriber import Transcriber

WINDOW_S: Final = 30.0
WINDOWS: Final = f"windows of {WINDOW_S:g} s"
ACTIVITY: Final = "voice activity"
WAYS: Final = {
    WINDOWS: SegmentationOptions(WINDOW, WINDOW_S),
    ACTIVITY: SegmentationOptions(VAD),
}
ARGUMENTS: Final = {
    WINDOWS: ("--segment", WINDOW, "--window", f"{WINDOW_S:g}"),
    ACTIVITY: ("--segment", VAD),
}
"""The same for the command line."""


@contextmanager
def both_ways(url: str, model: str, decoder: DecoderOptions) -> Iterator[dict[str, Transcriber]]:
    """A transcriber for each way, by its name."""
    with ExitStack() as stack:
        yield {
            way: stack.enter_context(
                Transcriber(url, model, decoder=decoder, segmentation=segmentation)
            )
            for way, segmentation in WAYS.items()
        }
