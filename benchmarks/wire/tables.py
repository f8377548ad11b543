"""The command's tables: heading to cells, for the terminal and for Markdown."""

from collections.abc import Sequence

from benchmarks.wire.accuracy import Accuracy
from benchmarks.wire.costs import Cost
from benchmarks.wire.padding import Padding

Cells = dict[str, list[str]]


def cost_cells(several: Sequence[Cost]) -> Cells:
    """One row for each way: kB of a second of audio, ms of a request.

    "more" are differences to the way that it is compared with, and their quartiles; the encoder's
    processor time is not in them.
    """
    return {
        "way": [each.name for each in several],
        "against": [each.against or "-" for each in several],
        "sent kB": [f"{each.sent_bytes_per_s / 1000:.2f}" for each in several],
        "received kB": [f"{each.received_bytes_per_s / 1000:.2f}" for each in several],
        "latency ms": [f"{each.latency_ms:.1f}" for each in several],
        "more latency": [_extra(each, "latency_ms", 1) for each in several],
        "server CPU ms": [f"{each.server_ms:.1f}" for each in several],
        "more server CPU": [_extra(each, "wire_ms", 1) for each in several],
        "client CPU ms": [f"{each.client_ms:.2f}" for each in several],
        "more client CPU": [_extra(each, "client_ms", 2) for each in several],
    }


def accuracy_cells(several: Sequence[Accuracy]) -> Cells:
    """One row for each way and decoder."""
    return {
        "way": [each.way for each in several],
        "decoder": [each.decoder for each in several],
        "WER": [f"{each.errors / each.words:.2%}" for each in several],
        "errors": [f"{each.errors} of {each.words}" for each in several],
        "other texts": [str(each.other_texts) for each in several],
        "log_probs apart": [f"{each.most_apart:.2g}" for each in several],
    }


def padding_cells(several: Sequence[Padding]) -> Cells:
    """One row for each model and output; kB are of a second of audio."""
    return {
        "model": [each.model for each in several],
        "output": [each.output for each in several],
        "audio s": [f"{each.audio_s:.0f}" for each in several],
        "sent kB": [f"{each.request_bytes_per_s / 1000:.2f}" for each in several],
        "received kB": [f"{each.reply_bytes_per_s / 1000:.2f}" for each in several],
        "padding in replies": [f"{each.padding_share:.1%}" for each in several],
    }


def _extra(cost: Cost, field: str, digits: int) -> str:
    if field not in cost.extra:
        return "-"
    extra = cost.extra[field]
    return f"{extra.median:+.{digits}f} ({extra.low:.{digits}f} … {extra.high:.{digits}f})"
