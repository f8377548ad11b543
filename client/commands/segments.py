"""``--segments``: where somebody speaks in the recordings, as a file says."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..audio import Clip, Span
from ..audio.options import EACH
from ..errors import ManifestError
from ..manifests.manifest import Entry
from ..manifests.segments import SegmentFile, files_of, read_segments
from ..utils.shortened import shortened
from .flags import FLAGS
from .streams import messages, warn


def add_segments(parser: ArgumentParser) -> None:
    """``--segments``; ``read_given`` reads it."""
    text = (
        "cut the recordings where this file says, in place of --segment, and label its speakers: "
        "RTTM, CTM, Kaldi's segments, or JSON"
    )
    parser.add_argument("--segments", type=Path, metavar="FILE", help=text)


def segment_files(args: Namespace) -> tuple[Path, ...]:
    """The files that ``--segments`` reads."""
    return () if args.segments is None else files_of(args.segments)


def read_given(parser: ArgumentParser, args: Namespace) -> SegmentFile | None:
    """The segments of the file, if one is given; says what is wrong with its lines.

    Exits with a usage error beside options that it does not go with. Raises ``ManifestError`` for a
    file that has none.
    """
    if args.segments is None:
        return None
    if args.segment is not None:
        parser.error("--segments: the file says where to cut, expected no --segment")
    if args.channel == EACH:
        parser.error("--segments: names the channels itself, expected no --channel each")
    if args.engine == "ray":
        parser.error("--segments: needs --engine local")
    given = read_segments(args.segments)
    if args.channel is not None and any(
        span.channel for spans in given.by_recording.values() for span in spans
    ):
        parser.error(f"--channel: {args.segments} names the channels itself, expected no --channel")
    for problem in given.problems:
        messages.print(f"error: {problem.text(FLAGS)}")
    if unused := given.unused(args.audio) if args.audio else ():
        warn(f"{given.path}: no recording is called {shortened(list(unused))}")
    return given


def segmented(entries: Iterable[Entry], given: SegmentFile | None) -> Iterator[Entry]:
    """The entries, each with its segments; one of which the file knows nothing fails."""
    for entry in entries:
        if given is None or not isinstance(entry.item, Clip):
            yield entry
            continue
        try:
            spans = _within(entry.item, given.of(_name(entry, entry.item, given)))
        except ManifestError as error:
            yield replace(entry, item=error)
        else:
            yield replace(entry, item=replace(entry.item, segments=spans))


def _name(entry: Entry, clip: Clip, given: SegmentFile) -> str:
    """As the manifest writes it if the file does too, else where the recording lies."""
    if entry.name in given.by_recording or not isinstance(clip.source, (str, Path)):
        return entry.name
    return str(clip.source)


def _within(clip: Clip, spans: Iterable[Span]) -> tuple[Span, ...]:
    """The parts of a recording's spans that lie in the clip, in its times."""
    offset_s, length_s = clip.offset_s, clip.duration_s
    moved = []
    for span in spans:
        start_s, end_s = max(0.0, span.start_s - offset_s), span.end_s - offset_s
        if length_s is not None:
            end_s = min(end_s, length_s)
        if start_s < end_s:
            moved.append(replace(span, start_s=start_s, end_s=end_s))
    return tuple(moved)
