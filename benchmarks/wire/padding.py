"""What replies carry that is not the utterance's own, under load of mixed lengths."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore

from benchmarks.load.loop import Target
from benchmarks.wire.variants import LARGE, variant_name
from client.audio import Pcm
from client.wire.contract import LOG_PROBS, TOKENS
from client.wire.transport import Exchange, TransportOptions, TritonTransport

_BYTES_PER_TOKEN = 4
_BYTES_PER_LOG_PROB = 4


@dataclass(frozen=True)
class Padding:
    """Payloads of a load, in bytes for a second of audio.

    ``padding_share`` is what of the replies is padding, by bytes.
    """

    model: str
    output: str
    requests: int
    audio_s: float
    request_bytes_per_s: float
    reply_bytes_per_s: float
    padding_share: float


def paddings(target: Target, utterances: Sequence[Pcm], in_flight: int) -> list[Padding]:
    """Greedy and ``log_probs`` of the model, and ``log_probs`` of its large vocabulary."""
    large = variant_name(target.model, LARGE)
    return [
        padding(target.url, target.model, TOKENS, utterances, in_flight),
        padding(target.url, target.model, LOG_PROBS, utterances, in_flight),
        padding(target.url, large, LOG_PROBS, utterances, in_flight),
    ]


def padding(
    url: str, model: str, output: str, utterances: Sequence[Pcm], in_flight: int
) -> Padding:
    """Send all ``utterances``, ``in_flight`` at a time, and ask for ``output``."""
    seen: list[Exchange] = []
    permits = BoundedSemaphore(in_flight)
    options = TransportOptions(max_in_flight=in_flight, observer=seen.append)
    transport = TritonTransport(url, model, options)
    try:
        replies = []
        for samples in utterances:
            permits.acquire()
            reply = transport.submit(samples, output)
            reply.add_done_callback(lambda _: permits.release())
            replies.append(reply)
        for reply in replies:
            reply.result()
    finally:
        transport.close()
    contract = transport.contract
    columns = contract.blank + 1
    frame_bytes = _BYTES_PER_TOKEN if output == TOKENS else _BYTES_PER_LOG_PROB * columns
    audio_s = sum(map(len, utterances)) / contract.sample_rate_hz
    return summarise(seen, model, output, frame_bytes, audio_s)


def summarise(
    seen: Iterable[Exchange], model: str, output: str, frame_bytes: int, audio_s: float
) -> Padding:
    """What the exchanges carried, each frame of a reply ``frame_bytes`` long."""
    several = list(seen)
    reply_bytes = sum(each.reply_bytes for each in several)
    padded_frames = sum(each.batch_frames - each.frames for each in several)
    return Padding(
        model=model,
        output=output,
        requests=len(several),
        audio_s=audio_s,
        request_bytes_per_s=sum(each.request_bytes for each in several) / audio_s,
        reply_bytes_per_s=reply_bytes / audio_s,
        padding_share=padded_frames * frame_bytes / reply_bytes,
    )
