"""How notebooks and terminals show results: words coloured by confidence, and progress."""

from collections.abc import Generator, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .result import Result
    from .transcript import Transcript, Word


def html_of_transcript(transcript: "Transcript", warnings: Sequence[str] = ()) -> str:
    """Words from red, confidence 0, to green, 1, each with its times; all escaped."""
    words = " ".join(map(_html_of_word, transcript.words)) or escape(transcript.text)
    return f'<div style="max-height: 20em; overflow: auto">{words or "(no words)"}</div>' + (
        _paragraphs("#b35900", warnings)
    )


def html_of_error(error: str, warnings: Sequence[str] = ()) -> str:
    """The message in red, below it the warnings."""
    return _paragraphs("#b00020", [error]) + _paragraphs("#b35900", warnings)


def _html_of_word(word: "Word") -> str:
    title, style = f"{word.start_s:.2f} to {word.end_s:.2f} s", ""
    if word.confidence is not None:
        title += f", confidence {word.confidence:.2f}"
        style = f' style="color: #111; background: hsl({120 * word.confidence:.0f} 75% 82%)"'
    return f'<span title="{title}"{style}>{escape(word.text)}</span>'


def _paragraphs(color: str, texts: Iterable[str]) -> str:
    return "".join(f'<p style="color: {color}">{escape(text)}</p>' for text in texts)


def with_progress(
    results: Iterable["Result"], total: int | None
) -> Generator["Result", None, None]:
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
