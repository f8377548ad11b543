"""What a file is that was given as a manifest and is none: one error instead of one per line."""

from pathlib import Path
from typing import Final

from ..errors import ManifestError

_UNPACK: Final = "is compressed with {0}, expected JSON Lines: unpack it ({1})"
_CONVERT: Final = "is {0}, expected UTF-8: convert it (iconv -f {0} -t UTF-8 OLD > NEW)"
_AUDIO: Final = (
    "is a recording, expected JSON Lines that name recordings: transcribe it without a manifest"
)
_BINARY: Final = (
    "is binary, expected JSON Lines that name recordings: transcribe a recording without a manifest"
)
_SIGNATURES: Final = (
    (b"\x1f\x8b", _UNPACK.format("gzip", "gunzip")),
    (b"BZh", _UNPACK.format("bzip2", "bunzip2")),
    (b"\xfd7zXZ", _UNPACK.format("xz", "unxz")),
    (b"\x28\xb5\x2f\xfd", _UNPACK.format("zstd", "unzstd")),
    (b"PK\x03\x04", _UNPACK.format("zip", "unzip")),
    (b"\xff\xfe\0\0", _CONVERT.format("UTF-32")),
    (b"\0\0\xfe\xff", _CONVERT.format("UTF-32")),
    (b"\xff\xfe", _CONVERT.format("UTF-16")),
    (b"\xfe\xff", _CONVERT.format("UTF-16")),
    (b"{\0", _CONVERT.format("UTF-16LE")),
    (b"\0{", _CONVERT.format("UTF-16BE")),
    *((magic, _AUDIO) for magic in (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3", b"NIST_1A")),
)
_MAKE: Final = "make a manifest of it and its recordings"
_TABLES: Final = ((b"\t", "tabs"), (b"|", "|"), (b";", ";"), (b",", "commas"))


def check_json_lines(path: Path, head: bytes) -> None:
    """Raise ``ManifestError`` when a file that begins with ``head`` holds no JSON objects.

    One line with an object is enough: the errors of other lines are their own.
    """
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            raise _error(path, what)
    lines = [
        line for each in head.removeprefix(b"\xef\xbb\xbf").splitlines() if (line := each.strip())
    ]
    if lines and (what := _not_json_lines(lines)):
        raise _error(path, what)


def _error(path: Path, what: str) -> ManifestError:
    if what in (_AUDIO, _BINARY):
        return ManifestError.of(path, what, options=("transcribe()",))
    options = ("read_source()",) if what.endswith(_MAKE) else ()
    return ManifestError.of(path, what, options=options)


def _not_json_lines(lines: list[bytes]) -> str:
    """What a text without any JSON object on a line is; empty for any other text."""
    first = lines[0]
    if first == b"[" or first.startswith((b"[{", b"[ {")):
        return "is one JSON array, expected an object a line: convert it (jq -c '.[]' OLD > NEW)"
    if first == b"{":
        return (
            "has JSON objects over several lines, expected one each: convert it (jq -c . OLD > NEW)"
        )
    if b"\0" in b"".join(lines) and not first.startswith(b"{"):
        return _BINARY
    if any(line.startswith(b"{") for line in lines):
        return ""
    for delimiter, name in _TABLES:
        if len(lines) > 1 and all(delimiter in line for line in lines[:2]):
            return f"is a table with {name}, expected JSON Lines: {_MAKE}"
    return f"is text without any JSON object, expected JSON Lines: {_MAKE}" if lines[1:] else ""
