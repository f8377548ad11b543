"""``transcribe``: turn recordings into text, in the order given.

AUDIO is a file, or a folder, which stands for the audio files in it and in the folders below it,
sorted by name.

Text has one line for each recording, ``path<TAB>text``; a recording that failed has no text. JSON
Lines keep the manifest's fields and add ``pred_text``, ``words`` with their times in seconds and
confidence, ``nbest`` with scores after a beam search, ``segments`` where a recording was cut,
``error`` where it failed, and ``warnings`` where it is damaged. CTM has one line for each word.
Subtitles (SRT, WebVTT) are one file for each recording: for several, ``--output`` names their
folder.

Recordings that are too long for the model are cut at pauses; ``--segment vad`` does it with all.
``--channel each`` transcribes every channel of a call by itself, ``--segments FILE`` what a
diarizer has found; results then say who speaks.

With ``--manifest``, ``--format jsonl`` and ``--output``, each result is written as soon as it is
there, with its ``line`` in the manifest. After any interruption, or to retry what failed,
``--resume`` continues: no line is lost and none is written twice. ``OUT.errors.jsonl`` lists the
failures.

``--engine ray`` spreads the work over many workers, on this machine or on a cluster whose machines
share a file system.
"""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from errno import ENAMETOOLONG
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Final, TextIO

from ..audio import Clip
from ..audio.options import Channel
from ..bulk.formats import FORMATS
from ..bulk.formats.lines import MONO, ctm, json_fields, recording_name
from ..bulk.ray_engine import Job, RayEngine, RayOptions
from ..bulk.results import Results, side_files
from ..decoding.preset import Preset
from ..errors import AudioError, ManifestError, OutputError
from ..manifests.manifest import Entry, Size, read_manifest, survey
from ..manifests.sources.files import AUDIO_SUFFIXES, files_below
from ..result import Result
from ..transcriber import Transcriber
from ..utils.files import is_stream, written_whole
from .arguments import (
    add_transcriber,
    audio_options,
    make_transcriber,
    open_transcriber,
    read_decoding,
    segmentation_options,
)
from .outputs import (
    STANDARD_OUTPUT,
    add_output,
    language_files,
    refuse_overwriting,
    with_recordings,
)
from .parser import CommandParser
from .progress import shown
from .ray import add_ray, ray_options
from .segments import add_segments, read_given, segment_files, segmented
from .streams import messages, open_output, report, report_failure, transcribe_entries

JSON_LINES: Final = "jsonl"
CTM: Final = "ctm"
Pairs = Iterator[tuple[Entry, Result]]


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 when any recording failed, or a line of --segments."""
    parser = _parser()
    args = parser.parse_args(arguments)
    _check(parser, args)
    args.audio = list(_files(args.audio))
    preset = read_decoding(parser, args)
    refuse_overwriting(_outputs(args), _inputs(args, preset))
    size = survey(args.manifest) if args.manifest else Size(len(args.audio))
    if size is not None and not size.entries:
        raise ManifestError(
            f"{args.manifest}: holds no recordings, expected JSON Lines with audio_filepath"
        )
    given = read_given(parser, args)
    bad_lines = len(given.problems) if given else 0
    if (ray := ray_options(parser, args)) is not None:
        return _on_ray(args, preset, size, ray)
    with ExitStack() as stack:
        # What can go wrong with the files goes wrong before the server is asked.
        write = None if _bulk(args) else _writer(args, stack)
        confidence = FORMATS[args.format].confidence
        transcriber = stack.enter_context(open_transcriber(args, preset, confidence=confidence))
        if write is None:
            settings = _settings(transcriber, preset, args)
            with Results(args.output, settings, resume=args.resume) as results:
                missing = segmented(results.missing(read_manifest(args.manifest)), given)
                failed = _in_bulk(_added(transcriber, missing, results), results, size)
                return 1 if failed or bad_lines else 0
        failed = bad_lines
        entries = segmented(_entries(args), given)
        for entry, result in shown(transcribe_entries(transcriber, entries), size):
            written = write(entry, result)
            failed += result.error is not None or not written
    return 1 if failed else 0


def _on_ray(args: Namespace, preset: Preset, size: Size | None, options: RayOptions) -> int:
    # Only to know the model before anything is written: the workers decode.
    with open_transcriber(args, replace(preset, beam=None)) as transcriber:
        settings = _settings(transcriber, preset, args)
    connect = make_transcriber(args, preset, confidence=FORMATS[args.format].confidence)
    job = Job(connect, args.manifest, args.output, settings)
    engine = RayEngine(job, options, resume=args.resume)
    with Results(args.output, settings, resume=args.resume) as results:
        return _in_bulk(_reported(engine.transcribe(results)), results, size)


def _in_bulk(pairs: Pairs, results: Results, size: Size | None) -> int:
    """Follow the recordings, each in ``results`` when it comes; the exit status."""
    damaged = 0
    try:
        for _, result in shown(pairs, size, done=results.done):
            damaged += bool(result.warnings) and result.error is None
    except KeyboardInterrupt:
        messages.print(f"{results.done:,} recordings are done: continue with --resume")
        raise
    messages.print(f"{results.done:,} recordings are in {results.path}")
    if damaged:
        messages.print(
            f"{damaged:,} of them have warnings: of those that are damaged or truncated the "
            "readable part was transcribed (--strict-audio rejects them)"
        )
    if results.failed:
        messages.print(
            f"{results.failed:,} of {results.done + results.failed:,} recordings failed, see "
            f"{results.failures_path}: --resume retries them"
        )
    return 1 if results.failed else 0


def _added(transcriber: Transcriber, missing: Iterable[Entry], results: Results) -> Pairs:
    """Transcribe what is missing in ``results``, and add it to them."""
    for entry, result in transcribe_entries(transcriber, missing):
        results.add(entry, json_fields(entry, result))
        yield entry, result


def _reported(pairs: Pairs) -> Pairs:
    for entry, result in pairs:
        report(entry.name, result)
        yield entry, result


def _settings(transcriber: Transcriber, preset: Preset, args: Namespace) -> dict[str, Any]:
    """What the texts depend on, ready for JSON."""
    contract = transcriber.contract
    settings = {
        "model": args.model,
        "checkpoint_sha256": contract.checkpoint_sha256,
        "precision": contract.precision,
        "exporter_version": contract.exporter_version,
        "decoder": preset.decoder.name,
        "decoder_options": asdict(preset.decoder),
        "decoder_files": _states(language_files(preset.beam)) if preset.beam else [],
        "audio": asdict(audio_options(args)),
        "segmentation": asdict(segmentation_options(args)),
        "segments": _states(segment_files(args)),
    }
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return plain


def _states(files: Iterable[Path]) -> list[list[int]]:
    """Size and time of change of files, which may be made anew under the same name."""
    states = [path.stat() for path in files if path.exists()]  # or the decoder says so
    return [[state.st_size, state.st_mtime_ns] for state in states]


def _writer(args: Namespace, stack: ExitStack) -> Any:
    """What writes an entry's result, and tells whether it could."""
    form = FORMATS[args.format]
    if form.one_file_each and args.output is not None and args.output.is_dir():
        return partial(_write_file, args.output, args.format, set())
    stream = stack.enter_context(open_output(args.output))
    if args.format == CTM:
        return partial(_write_ctm, stream, args.channel, {})

    def write(entry: Entry, result: Result) -> bool:
        stream.write(form.write(entry, result))
        stream.flush()
        return True

    return write


def _write_ctm(
    stream: TextIO, channel: Channel | None, written: dict[str, str], entry: Entry, result: Result
) -> bool:
    """The words of a recording, which CTM knows by its name alone: another's must not join them."""
    recording, name = PurePath(entry.name).as_posix(), recording_name(entry)
    alone = result.transcript is None or written.setdefault(name, recording) == recording
    if not alone:
        error = ManifestError(
            f"CTM drops folders and suffixes, and {written[name]} is already called {name}: "
            "rename one of them"
        )
        report_failure(entry.name, error)
        result = replace(result, transcript=None, error=error)
    stream.write(ctm(entry, result, channel if isinstance(channel, int) else MONO))
    stream.flush()
    return alone


def _write_file(folder: Path, form: str, written: set[str], entry: Entry, result: Result) -> bool:
    """A file of its own in ``folder``, named as the recording."""
    if result.transcript is None:
        return False
    name = f"{Path(entry.name).stem}.{form}"
    if name in written:
        report_failure(entry.name, ManifestError(f"{name} holds another recording of that name"))
        return False
    written.add(name)
    try:
        with written_whole(folder / name) as part:
            text = FORMATS[form].write(entry, result)
            part.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        if error.errno != ENAMETOOLONG:
            raise
        length = len(os.fsencode(name))
        report_failure(
            entry.name, OutputError(f"{name}: a name of {length} bytes is too long: rename it")
        )
        return False
    return True


def _bulk(args: Namespace) -> bool:
    """Whether results go to a file that can be resumed."""
    to_file = args.output is not None and not is_stream(args.output)
    return args.manifest is not None and to_file and args.format == JSON_LINES


def _outputs(args: Namespace) -> Iterator[Path]:
    if _bulk(args):
        yield from side_files(args.output)
    if args.output is None or not args.output.is_dir():
        yield args.output or STANDARD_OUTPUT


def _inputs(args: Namespace, preset: Preset) -> Iterator[Path | None]:
    yield args.decoder_config
    yield from segment_files(args)
    if preset.beam:
        yield from language_files(preset.beam)
    yield from (Path(name) for name in args.audio if name != "-")
    if args.manifest is not None:
        # What results are added to is no recording, and a long manifest takes its time.
        yield from [args.manifest] if _bulk(args) else with_recordings(args.manifest)


def _check(parser: ArgumentParser, args: Namespace) -> None:
    """Exit with a usage error where arguments do not go together."""
    if bool(args.audio) == (args.manifest is not None):
        parser.error("expected either AUDIO or --manifest M.jsonl")
    if args.engine == "ray" and not _bulk(args):
        parser.error("--engine ray: needs --manifest, --format jsonl and --output OUT.jsonl")
    if args.resume and not _bulk(args):
        parser.error("--resume: needs --manifest, --format jsonl and --output OUT.jsonl")
    several = args.manifest or len(args.audio) > 1 or any(map(os.path.isdir, args.audio))
    folder = args.output is not None and args.output.is_dir()
    if FORMATS[args.format].one_file_each:
        if several and not folder:
            parser.error(f"--format {args.format}: several recordings need --output FOLDER")
    elif folder:
        parser.error(f"--output: is a folder, expected a file for --format {args.format}")


def _parser() -> ArgumentParser:
    parser = CommandParser("nemo-ctc transcribe", __doc__)
    add = parser.add_argument
    text = "audio files or folders; - is standard input"
    add("audio", nargs="*", metavar="AUDIO", help=text)
    add("--manifest", type=Path, metavar="M.jsonl", help="recordings as NeMo's JSON Lines")
    add_transcriber(parser, each_channel=True)
    add_segments(parser)
    add_output(parser, tuple(FORMATS), folder=True)
    add("--resume", action="store_true", help="continue the results in --output OUT.jsonl")
    add_ray(parser)
    return parser


def _files(given: Iterable[str]) -> Iterator[str]:
    """The recordings that are given, and those below the folders that are.

    Raises ``AudioError`` for a folder without any.
    """
    for path in given:
        if not os.path.isdir(path):  # noqa: PTH112 -- Path's raises where it cannot be a path
            yield path
            continue
        files = list(map(str, files_below(Path(path), AUDIO_SUFFIXES)))
        if not files:
            raise AudioError(
                f"{path}: no audio file is in this folder or below it, expected names that end in "
                f"{', '.join(sorted(AUDIO_SUFFIXES))}"
            )
        yield from files


def _entries(args: Namespace) -> Iterable[Entry]:
    if args.manifest:
        return read_manifest(args.manifest)
    return (
        Entry(number, {"audio_filepath": path}, _item(path))
        for number, path in enumerate(args.audio, start=1)
    )


def _item(path: str) -> Clip | ManifestError:
    if path != "-":
        return Clip(path)
    if sys.stdin is None:
        return ManifestError("standard input is closed, expected a recording: redirect it (< FILE)")
    return Clip(sys.stdin.buffer)
