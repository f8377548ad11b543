"""Sources of recordings as regular files that can seek, within the limits."""

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, Final

from ..errors import AudioError
from ..utils.shortened import shortened
from .options import AudioSource

_BYTES: Final = (bytes, bytearray, memoryview)
_COPY_BYTES: Final = 1 << 20


def name_of(source: AudioSource) -> str:
    """The name of a source in messages; raises ``AudioError`` for what is none."""
    if isinstance(source, _BYTES):
        return f"audio of {memoryview(source).nbytes} bytes"
    if isinstance(source, (str, Path)):
        return shortened(source)
    if hasattr(source, "read"):
        return shortened(getattr(source, "name", "audio stream"))
    raise AudioError(
        f"the item is of type {type(source).__name__}, expected a path, bytes, an open binary "
        "file, an array of samples, (samples, rate_hz) or a dictionary of Hugging Face's"
    )


def open_source(source: AudioSource, max_bytes: int) -> FileIO:
    """The source as an unbuffered regular file, at its beginning.

    Readers get its descriptor, never its name, so that only the bytes decide the format. Raises
    ``AudioError`` for a source that is empty, larger than ``max_bytes`` or no regular file, and
    ``OSError``.
    """
    if isinstance(source, _BYTES):
        file = _copied([bytes(source)], max_bytes)
    elif isinstance(source, (str, Path)):
        file = _opened(source)
    else:
        file = _copied(_chunks(source), max_bytes)
    size = os.fstat(file.fileno()).st_size
    if 0 < size <= max_bytes:
        return file
    file.close()
    if size == 0:
        raise AudioError("is empty (0 bytes), expected audio: copy or record it again")
    raise _too_large(size, max_bytes)


def _opened(path: str | Path) -> FileIO:
    try:
        # Opening a named pipe would otherwise wait for a writer, for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise AudioError("no such file: check the path") from error
    except ValueError as error:  # a zero byte, or what the file system cannot encode
        raise AudioError(f"cannot be a path ({error}): check the path") from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return FileIO(descriptor, "rb")
    os.close(descriptor)
    kind = "directory" if stat.S_ISDIR(mode) else "device or pipe"
    raise AudioError(
        f"is a {kind}, expected an audio file: pass each of its files, or the bytes of a stream"
    )


def _copied(chunks: Iterable[bytes], max_bytes: int) -> FileIO:
    # Unbuffered, so that its descriptor shows all of it.
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
    try:
        for chunk in _within(chunks, max_bytes):
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _within(chunks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(size, max_bytes)
        yield chunk


def _chunks(stream: Any) -> Iterator[bytes]:
    while chunk := _read(stream):
        if not isinstance(chunk, bytes):
            raise AudioError(
                f"gives {type(chunk).__name__}, expected bytes: open it in binary mode"
            )
        yield chunk


def _read(stream: Any) -> Any:
    """The next chunk; streams are others' code, and may return or raise anything."""
    try:
        chunk = stream.read(_COPY_BYTES)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {shortened(error)}"
        raise AudioError(f"cannot be read: {said}: open or fetch it again") from error
    if chunk is None:
        raise AudioError("has nothing to read yet, expected an open file that blocks until it has")
    return chunk


def _too_large(size: int, max_bytes: int) -> AudioError:
    return AudioError(f"has {size} bytes or more, expected at most {max_bytes} (max_bytes): cut it")


@contextmanager
def named_errors(name: str) -> Iterator[None]:
    """Name the recording in every ``AudioError``, and turn ``OSError`` into one."""
    try:
        yield
    except AudioError as error:
        raise error.amended(message=f"{name}: {error.message}", source=name) from error.__cause__
    except OSError as error:
        said = f"{name}: cannot be read: {error.strerror or error}"
        raise AudioError(said, source=name) from error
