"""An append-only results file of many recordings that can be resumed after any interruption.

A results file is JSON Lines, each keyed by ``line``, the entry's line in its manifest. Lines are
only appended, each whole: a killed process leaves whole lines and perhaps a torn one, which is
truncated. A resumed run reads which entries are done, transcribes those that are missing or failed,
and finally sorts all lines by the manifest's order. A second file lists the failures, a third
records the settings, so that results of different models or decoders never mix.

It takes a few bytes of memory per entry, whatever the length of the texts.
"""

import fcntl
import json
import zlib
from array import array
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

from ..errors import ManifestError
from ..manifests.manifest import AUDIO_FIELDS, Entry, audio_of
from ..utils.files import written_whole
from ..utils.shortened import shortened
from ..utils.utf8 import json_text

LINE: Final = "line"
ERROR: Final = "error"
ATTEMPTS: Final = "attempts"
_FAILURE_FIELDS: Final = (LINE, *AUDIO_FIELDS, ERROR, ATTEMPTS)
_BEGINNING: Final = b'{"line": '
"""The first bytes of every line."""


class Results(AbstractContextManager["Results"]):
    """A results file while it is written; a context manager.

    ``settings`` are what the results depend on. Raises ``ManifestError`` when the file exists and
    ``resume`` is false, and when it is damaged, was made with other settings, or is being written
    by another process.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        self.failures_path, self.settings_path = side_files(path)
        self.failed = 0
        self._settings = settings
        self._attempts: dict[int, int] = {}  # of failed entries
        self._done = bytearray()  # by line: whether there is a transcript
        self._names = array("L")  # by line: the entry's checksum, to detect another manifest
        self._last_line = 0
        self._in_order = True
        self._stream: BinaryIO = path.open("ab+")
        try:
            self._lock()
            self._settle(resume=resume)
            self._read()
            self._list_failures()
            self._failures: TextIO = self.failures_path.open("a", encoding="utf-8")
        except BaseException:
            self._stream.close()
            raise

    @property
    def done(self) -> int:
        """How many entries have a transcript."""
        return sum(self._done)

    def missing(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """The manifest's entries that have no transcript yet.

        Raises ``ManifestError`` where a line's entry differs from the earlier run's.
        """
        for entry in entries:
            if entry.line < len(self._names) and self._names[entry.line] != 0:
                if self._names[entry.line] != _checksum(entry.fields):
                    raise _mismatch(
                        self.path,
                        f"was made from another manifest, where line {entry.line} was not "
                        f"{shortened(entry.name)}: resume with that one",
                    )
                if self._done[entry.line]:
                    continue
            yield entry

    def add(self, entry: Entry, fields: Mapping[str, Any]) -> None:
        """Append an entry's result; ``fields`` hold ``error`` if it failed."""
        record = {LINE: 0, **fields} | {LINE: entry.line}  # ours, and first
        if ERROR in fields:
            record[ATTEMPTS] = self._attempts.get(entry.line, 0) + 1
            self.failed += 1
            self._failures.write(_failure_line(record))
            self._failures.flush()
        try:
            self._stream.write(json_text(record).encode() + b"\n")
            self._stream.flush()
        finally:
            self._note(record)  # even if an interrupt arrives once the line is written

    def __exit__(self, *raised: object) -> None:
        """Keep each line once, in the manifest's order, also after an interrupt."""
        self._failures.close()
        try:
            self._list_failures()
            self._put_in_order()
        except OSError:
            if raised[0] is None:
                raise  # otherwise the run's own error matters more, and resuming repairs the file
        finally:
            self._stream.close()

    def _put_in_order(self) -> None:
        """Sort by the manifest's order, keeping the last record of each line."""
        if self._in_order:
            return
        with written_whole(self.path) as part, part.open("wb") as ordered:
            ordered.writelines(self._last_records())

    def _list_failures(self) -> None:
        """Write the list of failures so far; no file if there are none."""
        if not self._attempts:
            self.failures_path.unlink(missing_ok=True)
            return
        with written_whole(self.failures_path) as part, part.open("w", encoding="utf-8") as listed:
            for record in map(_record, self._last_records()):
                if record is not None and ERROR in record:
                    listed.write(_failure_line(record))

    def _settle(self, *, resume: bool) -> None:
        """Record the settings, or raise if the file must not be resumed with them."""
        begun = self.path.stat().st_size > 0
        if begun and not resume:
            reason = "exists already: resume it, or remove it to start anew"
            raise ManifestError.of(self.path, reason, options=("Results.resume",))
        if not (begun and self.settings_path.exists()):
            with written_whole(self.settings_path) as part:
                text = json_text(self._settings, indent=2) + "\n"
                part.write_text(text, encoding="utf-8")
            return
        try:
            earlier = json.loads(self.settings_path.read_text(encoding="utf-8"))
            differing = sorted(
                name
                for name in earlier.keys() | self._settings.keys()
                if earlier.get(name) != self._settings.get(name)
            )
        except (OSError, ValueError, AttributeError) as error:
            reason = f"{self.settings_path} is damaged ({error}): remove both"
            raise _mismatch(self.path, reason) from error
        if differing:
            raise _mismatch(
                self.path,
                f"was made with other settings, {', '.join(differing)} (see {self.settings_path}): "
                "use the same settings",
            )

    def _lock(self) -> None:
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            reason = "is being written by another process: wait for it, or stop it"
            raise ManifestError.of(self.path, reason) from error

    def _read(self) -> None:
        """Read the existing lines, and truncate a torn one."""
        self._stream.seek(0)
        end = 0
        for number, line in enumerate(self._stream, start=1):
            torn = not line.endswith(b"\n")
            if torn and (line.startswith(_BEGINNING) or _BEGINNING.startswith(line)):
                break
            record = None if torn else _record(line)
            if record is None:
                reason = f"line {number} is no result of a manifest's line: remove the file"
                raise _mismatch(self.path, reason)
            self._note(record)
            end += len(line)
        self._stream.truncate(end)

    def _note(self, record: Mapping[str, Any]) -> None:
        line = record[LINE]
        if line >= len(self._done):
            more = line + 1 - len(self._done)
            self._done.extend(bytes(more))
            self._names.extend([0] * more)
        self._done[line] = ERROR not in record
        self._names[line] = _checksum(record)
        if ERROR in record:
            self._attempts[line] = record.get(ATTEMPTS, 1)
        else:
            self._attempts.pop(line, None)
        self._in_order = self._in_order and line > self._last_line
        self._last_line = line

    def _last_records(self) -> Iterator[bytes]:
        """The last record of each line of the manifest, in the order of lines."""
        offsets = array("q", [-1]) * len(self._done)
        self._stream.seek(0)
        at = 0
        for line in self._stream:
            if (record := _record(line)) is not None:
                offsets[record[LINE]] = at
            at += len(line)
        for offset in offsets:
            if offset >= 0:
                self._stream.seek(offset)
                yield self._stream.readline()


def _mismatch(path: Path, reason: str) -> ManifestError:
    return ManifestError.of(path, f"{reason}, or choose another output", options=("Results.path",))


def _failure_line(record: Mapping[str, Any]) -> str:
    failure = {name: record[name] for name in _FAILURE_FIELDS if name in record}
    return json_text(failure) + "\n"


def side_files(path: Path) -> tuple[Path, Path]:
    """The files beside the results at ``path``: the failures and the settings."""
    return beside(path, "errors.jsonl"), beside(path, "run.json")


def beside(path: Path, ending: str) -> Path:
    """``out.errors.jsonl`` beside ``out.jsonl``; other names are kept whole, to stay distinct."""
    return path.with_name(f"{path.name.removesuffix('.jsonl')}.{ending}")


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    keyed = isinstance(record, dict) and type(record.get(LINE)) is int and record[LINE] > 0
    return record if keyed else None


def _checksum(fields: Mapping[str, Any]) -> int:
    """A checksum of an entry's audio; never 0, which stands for none."""
    offset = fields.get("offset")
    # Without an offset the duration selects nothing: results may add it.
    what = [audio_of(fields), offset, offset is not None and fields.get("duration")]
    return zlib.crc32(json.dumps(what).encode()) or 1
