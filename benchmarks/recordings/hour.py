"""An hour in one file through the command line: text, word times and memory.

What it should give is known: the utterances that it is made of, transcribed one by one, with their
words' times moved to where each utterance begins.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks.errors import LoadError, SpeechError
from benchmarks.recordings.sessions import Session
from client.evaluation.metrics import word_columns, word_errors
from client.transcriber import Transcriber
from client.transcript import Segment, Word, joined

_LAST_S: Final = 300.0
"""The end of the hour: where times would have drifted furthest. Of less, its second half."""
_PROGRAM: Final = """
import sys
from client.__main__ import main
status = main(sys.argv[1:])
for line in open("/proc/self/status"):
    if line.startswith("VmHWM:"):
        sys.stderr.write(line)
sys.exit(status)
"""


@dataclass(frozen=True)
class Outcome:
    """What became of the hour; times are absolute differences in ms."""

    decoder: str
    way: str
    audio_s: float
    wall_s: float
    peak_mib: float
    words: int
    errors: int
    errors_by_utterance: int
    end_words: int
    end_median_ms: float
    end_percentile_95_ms: float
    end_largest_ms: float


@dataclass(frozen=True)
class Command:
    """What ``python -m client transcribe`` is told, besides the recording; names are for tables."""

    decoder: str
    way: str
    arguments: Sequence[str]


def measure(command: Command, session: Session, file: Path, expected: Sequence[Word]) -> Outcome:
    """Transcribe ``file``, which holds the session; compare with the words ``expected``.

    Raises ``LoadError`` when the command fails, ``SpeechError`` where no word is heard in the end.
    """
    said, peak_mib, wall_s = _run([*command.arguments, str(file)])
    heard = [Word(each["word"], each["start"], each["end"], None) for each in said["words"]]
    by_utterance = " ".join(word.text for word in expected)
    errors = word_errors([session.text], [said["pred_text"]])
    length_s = said["duration"]
    off_ms = _deviations_ms(expected, heard, length_s - min(_LAST_S, length_s / 2))
    return Outcome(
        decoder=command.decoder,
        way=command.way,
        audio_s=length_s,
        wall_s=round(wall_s, 1),
        peak_mib=round(peak_mib, 1),
        words=errors.reference,
        errors=errors.errors,
        errors_by_utterance=word_errors([session.text], [by_utterance]).errors,
        end_words=len(off_ms),
        end_median_ms=round(float(np.median(off_ms)), 1),
        end_percentile_95_ms=round(float(np.percentile(off_ms, 95)), 1),
        end_largest_ms=round(float(off_ms.max()), 1),
    )


def write(session: Session, rate_hz: int, file: Path) -> None:
    """The session as a recording of the format that the file's ending names."""
    soundfile.write(file, session.samples, rate_hz)


def expected_words(transcriber: Transcriber, session: Session) -> list[Word]:
    """The utterances' words by themselves, at the times where they are in the session.

    Raises the error of an utterance that failed.
    """
    unique = {id(each): each for each in session.utterances}
    results = transcriber.transcribe(each.samples for each in unique.values())
    transcripts = {key: each.unwrap() for key, each in zip(unique, results, strict=True)}
    rate_hz = transcriber.contract.sample_rate_hz
    placed = joined(
        (
            Segment("", start / rate_hz, (start + len(each.samples)) / rate_hz),
            transcripts[id(each)],
        )
        for each, start in zip(session.utterances, session.starts, strict=True)
    )
    return list(placed.words)


def _deviations_ms(
    expected: Sequence[Word], heard: Sequence[Word], since_s: float
) -> NDArray[np.float64]:
    """How far starts and ends are apart, of words heard alike that begin after ``since_s``.

    Their neighbours are heard alike too: in spelled letters the text alone pairs one "a" with
    another.
    """
    texts = [" ".join(word.text for word in words) for words in (expected, heard)]
    alike = set(_matched(*texts))
    sure = [
        (ours, theirs)
        for ours, theirs in sorted(alike)
        if {(ours - 1, theirs - 1), (ours + 1, theirs + 1)} <= alike
    ]
    pairs = [(expected[ours], heard[theirs]) for ours, theirs in sure]
    late = [(ours, theirs) for ours, theirs in pairs if ours.start_s >= since_s]
    if not late:
        raise SpeechError(f"no word after {since_s:.0f} s was heard as in its utterance")
    differences = [
        (theirs.start_s - ours.start_s, theirs.end_s - ours.end_s) for ours, theirs in late
    ]
    largest: NDArray[np.float64] = 1000 * np.abs(np.array(differences)).max(axis=1)  # [words]
    return largest


def _run(arguments: Sequence[str]) -> tuple[dict[str, Any], float, float]:
    """The JSON line, the peak of resident memory in MiB, and the seconds it took."""
    started_s = perf_counter()
    command = [sys.executable, "-c", _PROGRAM, "transcribe", "--format", "jsonl", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall_s = perf_counter() - started_s
    if done.returncode != 0:
        raise LoadError(f"transcribe failed: {done.stderr.strip()[-2000:]}")
    peak_kib = int(done.stderr.split("VmHWM:")[-1].split()[0])
    said: dict[str, Any] = json.loads(done.stdout)
    return said, peak_kib / 1024, wall_s


def _matched(expected: str, heard: str) -> Iterator[tuple[int, int]]:
    """Places of the words that are right: in the expected text and in the one heard."""
    ours = theirs = 0
    for word, other in word_columns(expected, heard):
        if word == other:
            yield ours, theirs
        ours += bool(word)
        theirs += bool(other)
