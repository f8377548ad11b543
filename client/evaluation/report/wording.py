"""Figures and findings in plain words."""

from collections.abc import Sequence

from ...decoding import BeamOptions, DecoderOptions, GreedyOptions
from ..result import Difference, Evaluation

_SIGNIFICANT_P = 0.05


def unbroken(text: str) -> str:
    """Text that stays on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def percent(fraction: float) -> str:
    """``0.0634`` → ``6.3 %``."""
    return f"{100 * fraction:,.1f}\N{NO-BREAK SPACE}%"


def points(difference: float) -> str:
    """A difference of rates in percentage points, with its sign."""
    rounded = round(100 * difference, 1)
    return f"{rounded:+.1f}".replace("-", "\N{MINUS SIGN}") if rounded else "0.0"


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
    return f"{seconds / 3600:,.1f} h"


def speed(audio_s: float, seconds: float) -> str:
    """Seconds of audio in a second (RTFx)."""
    if seconds <= 0:
        return "\N{EN DASH}"
    rtfx = audio_s / seconds
    return f"{rtfx:,.0f}" if rtfx >= 10 else f"{rtfx:.1f}"


def p_value(value: float) -> str:
    """To three places."""
    return unbroken("p < 0.001" if value < 0.001 else f"p = {value:.3f}")


def verdict(difference: Difference) -> str:
    """Whether a difference is statistically significant."""
    return "significant" if difference.p_value < _SIGNIFICANT_P else "not significant"


def decoder(options: DecoderOptions) -> str:
    """How a system decodes."""
    exact = ""
    if isinstance(options, (GreedyOptions, BeamOptions)) and options.exact_nemo_text:
        exact = ", NeMo's exact text"
    if isinstance(options, GreedyOptions):
        return f"greedy{exact}"
    names = (str(each).rpartition("/")[2] for each in options.language_models)
    model = " + ".join(names) or "no language model"
    hotwords = f", {count(len(options.hotwords), 'hotword')}" if options.hotwords else ""
    width = unbroken(f"{options.name} {options.beam_width}")
    weights = unbroken(f"alpha {options.alpha:g}") + ", " + unbroken(f"beta {options.beta:g}")
    return f"{width}, {model}, {weights}{hotwords}{exact}"


def finding(evaluation: Evaluation) -> str:
    """The lowest word error rate, and whether it differs significantly from the first system's."""
    if not evaluation.utterances:
        return "No utterance was transcribed: there are no error rates."
    first = evaluation.scores[0]
    fewest = min(score.words.errors for score in evaluation.scores)
    best = [score.system for score in evaluation.scores if score.words.errors == fewest]
    words = first.words.reference
    rate = f"{percent(fewest / max(words, 1))} ({count(fewest, 'error')} in {count(words, 'word')})"
    if len(evaluation.scores) == 1:
        return f"{first.system} has a word error rate of {rate}."
    have = "have" if len(best) > 1 else "has"
    which = "same" if len(best) == len(evaluation.scores) else "lowest"
    lowest = f"{' and '.join(best)} {have} the {which} word error rate: {rate}"
    if first.system in best:
        return f"{lowest}."
    fewer = count(first.words.errors - fewest, "error")
    return f"{lowest}, {fewer} fewer than {first.system}. {_significance(evaluation, best)}"


def _significance(evaluation: Evaluation, systems: Sequence[str]) -> str:
    """Of the difference between these systems and the first, for the least sure of them."""
    p = max(each.p_value for each in evaluation.differences if each.system in systems)
    found = "is" if p < _SIGNIFICANT_P else "is not"
    return f"The difference {found} statistically significant ({p_value(p)})."
