"""Figures and findings in plain words."""

from collections.abc import Sequence

from ...decoding import BeamOptions, DecoderOptions
from ..result import Difference, Evaluation, Score

_CHANCE = 0.05


def percent(fraction: float) -> str:
    """``0.0634`` → ``6.3 %``."""
    return f"{100 * fraction:.1f}\N{NO-BREAK SPACE}%"


def points(difference: float) -> str:
    """A difference of rates in percentage points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def count(number: int, singular: str, plural: str = "") -> str:
    """``1 word``, ``1,200 words``."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def duration(seconds: float) -> str:
    """``3.2 s``, ``5 min 47 s`` or ``12.3 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    return f"{seconds / 3600:.1f} h"


def speed(audio_s: float, seconds: float) -> str:
    """Seconds of audio in a second (RTFx)."""
    if seconds <= 0:
        return "\N{EN DASH}"
    rtfx = audio_s / seconds
    return f"{rtfx:,.0f}" if rtfx >= 10 else f"{rtfx:.1f}"


def p_value(value: float) -> str:
    """To three places."""
    written = "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
    return written.replace(" ", "\N{NO-BREAK SPACE}")


def verdict(difference: Difference) -> str:
    """Whether a difference means anything."""
    if difference.wer == 0:
        return "as many errors"
    fewer = "fewer" if difference.wer < 0 else "more"
    if difference.p_value < _CHANCE:
        return f"{fewer} errors, hardly by chance"
    return f"{fewer} errors, which may be chance"


def decoder(options: DecoderOptions) -> str:
    """How a system decodes."""
    exact = ", NeMo's exact text" if options.exact_nemo_text else ""
    if not isinstance(options, BeamOptions):
        return f"greedy{exact}"
    model = "no language model" if options.lm is None else str(options.lm).rpartition("/")[2]
    hotwords = f", {count(len(options.hotwords), 'hotword')}" if options.hotwords else ""
    return (
        f"beam {options.beam_width}, {model}, alpha {options.alpha:g}, beta {options.beta:g}"
        f"{hotwords}{exact}"
    )


def finding(evaluation: Evaluation) -> str:
    """Who did best, and whether that is more than chance."""
    if not evaluation.utterances:
        return "No utterance could be transcribed: there is nothing to compare."
    first = evaluation.scores[0]
    fewest = min(score.words.errors for score in evaluation.scores)
    best = [score for score in evaluation.scores if score.words.errors == fewest]
    words = count(first.words.reference, "word")
    made = f"{count(fewest, 'error')} in {words} ({percent(best[0].words.rate)})"
    if len(evaluation.scores) == 1:
        return f"{first.system} makes {made}."
    if fewest == first.words.errors:
        return f"No system makes fewer word errors than {first.system}: {made}."
    make = "make" if len(best) > 1 else "makes"
    return (
        f"{' and '.join(score.system for score in best)} {make} the fewest word errors: {made}, "
        f"{first.words.errors - fewest:,} fewer than {first.system}. {_chance(evaluation, best)}"
    )


def _chance(evaluation: Evaluation, best: Sequence[Score]) -> str:
    """Whether the difference to the first system means anything, for the least sure of the best."""
    systems = [score.system for score in best]
    p = max(each.p_value for each in evaluation.differences if each.system in systems)
    if p < _CHANCE:
        return f"That is more than chance explains ({p_value(p)})."
    return f"That may still be chance ({p_value(p)})."
