"""The way in: a model on a server that transcribes recordings, many or one.

Flow: ``Transcriber`` connects, and makes the ``Pipeline`` that items flow through, one in each
process.
"""

import warnings
from collections.abc import Generator, Iterable, Sequence, Sized
from dataclasses import replace
from threading import Event
from typing import TypedDict, Unpack

from .audio import AudioItem, AudioOptions, is_single
from .decoding import DecoderOptions, GreedyOptions, make_decoder
from .decoding.options import SearchOptions
from .decoding.stage import InThread, InThreads, Stage
from .errors import AudioWarning
from .pipeline import Item, Pipeline, Reader, requests_ahead
from .result import Result
from .segmentation import SegmentationOptions, plan_segmentation
from .transcript import Transcript
from .utils.closing import Closing
from .utils.forks import PerProcess
from .wire.contract import Contract
from .wire.transport import TransportOptions, TritonTransport


class TranscriberOptions(TypedDict, total=False):
    """The options of ``Transcriber``, for functions that pass them on."""

    decoder: DecoderOptions | None
    threads: int
    options: TransportOptions | None
    audio: AudioOptions | None
    segmentation: SegmentationOptions | None
    log_probs: bool


class Transcriber(Closing):
    """A model on a server, ready to transcribe; a context manager, and safe to share.

    ``decoder`` chooses greedy decoding (``None``) or beam search. Beam search runs in ``threads``
    threads, or for 0 in the thread that takes the results. ``audio`` says how recordings
    are read, and ``segmentation`` how they are cut: by default at pauses where they are longer than
    the model takes. With ``log_probs``, results have the model's outputs, ``float32
    [S, V]``, and words of greedy decoding a confidence; a reply is then V times as large.

    Any number of threads may call all methods at once. They share ``options.max_in_flight``
    requests; each iterator of results belongs to the thread that takes from it.

    A forked child connects and loads a decoder of its own at its first use, which raises what the
    constructor does; closing it there leaves the parent's open. ``ForkError`` is raised
    where gRPC does not survive the fork, and by iterators of results from before it.

    Raises the errors of ``TritonTransport``, ``DecoderError`` for a language model that cannot be
    used, and those of ``plan_segmentation``.
    """

    def __init__(  # noqa: PLR0913  # all but two are options that most callers leave alone
        self,
        url: str | Sequence[str],
        model: str,
        *,
        decoder: DecoderOptions | None = None,
        threads: int = 0,
        options: TransportOptions | None = None,
        audio: AudioOptions | None = None,
        segmentation: SegmentationOptions | None = None,
        log_probs: bool = False,
    ) -> None:
        self._model = f"{model!r} at {url!r}"
        options = options or TransportOptions()
        decoder = decoder or GreedyOptions()
        if log_probs and isinstance(decoder, GreedyOptions):
            decoder = replace(decoder, confidence=True)  # asks the server for them

        def connect() -> Pipeline:
            transport = TritonTransport(url, model, options)
            contract = transport.contract
            decoding: Stage
            try:
                plan = plan_segmentation(contract, segmentation or SegmentationOptions())
                reader = Reader(contract.sample_rate_hz, plan, audio or AudioOptions())
                made = make_decoder(contract, decoder)
                if threads and isinstance(decoder, SearchOptions):
                    decoding = InThreads(made, threads, requests_ahead(options.max_in_flight))
                else:
                    decoding = InThread(made)
            except BaseException:
                transport.close()
                raise
            return Pipeline(
                transport, decoding, options.max_in_flight, reader, keep_log_probs=log_probs
            )

        self._pipeline = PerProcess(connect)

    @property
    def contract(self) -> Contract:
        """What the model says of itself."""
        return self._pipeline.get().transport.contract

    @property
    def max_in_flight(self) -> int:
        """How many requests may be in flight at once."""
        return self._pipeline.get().max_in_flight

    def transcribe(
        self, items: Iterable[Item], *, progress: bool = False, stop: Event | None = None
    ) -> Generator[Result, None, None]:
        """One result for each item, in order, with the item's error and its warnings.

        Samples without a sample rate are taken at the model's. Items are taken and read in a thread
        of their own, at most four times as many as requests in flight ahead of the result that is
        waited for, and twice that with decoding threads. A result does not wait for the next item,
        so items may come from a live source; an exception that ``items`` raises comes after the
        results before it. With ``progress``, terminals and notebooks show a progress bar. Setting
        ``stop``, from any thread, ends the results after the items that have been sent, also while
        ``items`` has no next one yet.

        Raises ``TypeError`` at once for a single recording, whose parts would be taken for items.
        """
        if is_single(items):
            raise TypeError(
                f"items are one {type(items).__name__}, expected an iterable of recordings: "
                "transcribe_one(recording) transcribes a single one; samples belong in a NumPy "
                "array"
            )
        results = self._pipeline.get().transcribe(items, stop)
        total = len(items) if isinstance(items, Sized) else None
        return _with_progress(results, total) if progress else results

    def transcribe_one(self, item: AudioItem) -> Transcript:
        """The transcript of one recording.

        Samples without a sample rate are taken at the model's. A damaged recording of which the
        intact part was transcribed is a Python ``AudioWarning``. Raises the item's ``AsrError``.
        """
        (result,) = self._pipeline.get().transcribe([item])
        return transcript_of(result)

    def close(self) -> None:
        """Disconnect and release the language model; items in flight in other threads fail."""
        if (pipeline := self._pipeline.made) is not None:
            pipeline.close()

    def __repr__(self) -> str:
        return f"<Transcriber of {self._model}>"


def transcribe(
    item: AudioItem, url: str | Sequence[str], model: str, **options: Unpack[TranscriberOptions]
) -> Transcript:
    """The transcript of one recording, over a connection of its own: for scripts and notebooks.

    ``options`` are those of ``Transcriber``, which transcribes many faster: it connects once.
    Raises what the constructor of ``Transcriber`` and ``transcribe_one`` raise.
    """
    with Transcriber(url, model, **options) as transcriber:
        (result,) = transcriber.transcribe([item])
    return transcript_of(result)


def transcript_of(result: Result) -> Transcript:
    """The transcript, with Python's warnings for what is wrong; raises the result's error.

    The warnings point at the caller of the function that calls this.
    """
    for warning in result.warnings:
        warnings.warn(warning, AudioWarning, stacklevel=3)
    return result.unwrap()


def _with_progress(results: Iterable[Result], total: int | None) -> Generator[Result, None, None]:
    """The results, with a progress bar on standard error or below the notebook's cell."""
    from rich.console import Console  # noqa: PLC0415 -- only who asks for progress waits for it
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(stderr=True)
    hidden = not (console.is_terminal or console.is_jupyter)
    with Progress(console=console, disable=hidden) as progress:
        task = progress.add_task("Transcribing", total=total)
        failed = 0
        for result in results:
            failed += result.error is not None
            said = f"Transcribing, {failed:,} failed" if failed else "Transcribing"
            progress.update(task, advance=1, description=said)
            yield result
