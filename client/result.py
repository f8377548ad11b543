"""What became of one item: its transcript, or its error."""

from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import NDArray

from .errors import AsrError
from .transcript import Transcript
from .utils.shortened import shortened


@dataclass(frozen=True, repr=False)
class Result:
    """What became of the item at position ``index``: a transcript, or an error.

    ``duration_s`` is the length of the audio that was read, 0 where none was. ``warnings`` say what
    is wrong with a recording whose intact part was transcribed. ``log_probs``, ``float32 [S, V]``,
    are the model's own, natural logarithms with the blank last, where the transcriber was asked for
    them; of a recording that was cut, its segments have them.
    """

    index: int
    duration_s: float = 0.0
    transcript: Transcript | None = None
    error: AsrError | None = None
    warnings: tuple[str, ...] = ()
    log_probs: NDArray[np.float32] | None = field(default=None, compare=False)

    @property
    def text(self) -> str:
        """The transcript's text; raises ``error`` where there is one."""
        return self.unwrap().text

    def unwrap(self) -> Transcript:
        """The transcript; raises ``error`` where there is one."""
        if self.transcript is None:
            raise self.error or AsrError("this result has no transcript and no error")
        return self.transcript

    def __repr__(self) -> str:
        outcome = self.transcript if self.error is None else shortened(repr(self.error))
        return f"Result({self.index}, {self.duration_s:.2f} s, {outcome})"

    def _repr_html_(self) -> str:
        """In notebooks: the transcript, or the error in red, and below it the warnings."""
        warnings = "".join(_paragraph("#b35900", warning) for warning in self.warnings)
        if self.transcript is None:
            return _paragraph("#b00020", str(self.error)) + warnings
        return self.transcript._repr_html_() + warnings


def _paragraph(color: str, text: str) -> str:
    return f'<p style="color: {color}">{escape(text)}</p>'
