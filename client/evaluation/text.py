"""An evaluation in a terminal: a table of the systems, what failed, and texts word above word."""

import math
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table

from ..utils.shortened import shortened
from .metrics import lines_of, word_columns
from .result import Evaluation, Interval, System, Utterance
from .scoring import mean_loss


def print_evaluation(evaluation: Evaluation, shown: int, console: Console) -> None:
    """Print it all, but of failures and of wrong utterances ``shown`` each."""
    if evaluation.scores:
        console.print(_rates(evaluation))
    if evaluation.differences:
        console.print(_differences(evaluation))
    lines = [
        *_facts(evaluation),
        *_failures(evaluation, shown),
        *_wrong(evaluation, shown, console.width),
    ]
    console.file.writelines(f"{line}\n" for line in lines)


def _rates(evaluation: Evaluation) -> Table:
    table = _table("WER", "95 % interval", "errors", "S/D/I", "CER", "RTFx")
    for system, score in zip(evaluation.systems, evaluation.scores, strict=False):
        words = score.words
        table.add_row(
            _name(system, evaluation),
            f"{words.rate:.2%}",
            _interval(score.wer_interval),
            str(words.errors),
            f"{words.substitutions}/{words.deletions}/{words.insertions}",
            f"{score.characters.rate:.2%}",
            _rtfx(evaluation.audio_s, score.decoding_s),
        )
    return table


def _differences(evaluation: Evaluation) -> Table:
    table = _table(f"WER minus {evaluation.systems[0].name}'s", "95 % interval", "p")
    for difference in evaluation.differences:
        table.add_row(
            difference.system,
            f"{difference.wer:+.2%}",
            _interval(difference.interval, "+"),
            "< 0.0001" if difference.p_value < 0.0001 else f"{difference.p_value:.4f}",
        )
    return table


def _table(*columns: str) -> Table:
    """A table of systems, whose names give way where a terminal is narrow."""
    table = Table()
    table.add_column("system", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _name(system: System, evaluation: Evaluation) -> str:
    """The system, with its model where there are several."""
    model = f" ({system.model})" if len(evaluation.contracts) > 1 else ""
    return f"{system.name}{model}"


def _interval(interval: Interval, sign: str = "") -> str:
    return f"{interval.low:{sign}.1%} to {interval.high:{sign}.1%}"


def _rtfx(audio_s: float, seconds: float) -> str:
    if not seconds:
        return ""
    rtfx = audio_s / seconds
    return f"{rtfx:,.0f}" if rtfx >= 100 else f"{rtfx:.1f}"


def _facts(evaluation: Evaluation) -> Iterator[str]:
    size = f"{len(evaluation.utterances)} utterances, {len(evaluation.failures)} failed"
    for score in evaluation.scores[:1]:
        size += f"; {score.words.reference} words, {score.characters.reference} characters"
    yield (
        f"{size}; {evaluation.audio_s:.1f} s of audio in {evaluation.elapsed_s:.1f} s "
        f"(RTFx {_rtfx(evaluation.audio_s, evaluation.elapsed_s)})"
    )
    yield f"normalisation of both texts: {', '.join(evaluation.normalization) or 'none'}"
    for model, seconds in evaluation.acoustic_s.items():
        speed = f"RTFx {_rtfx(evaluation.audio_s, seconds)}" if seconds else "kept from before"
        loss = mean_loss(evaluation.utterances, model)
        told = "" if loss is None else f"; CTC loss of the reference {loss:.2f} nats (mean)"
        yield f"acoustic model {model}: {speed}{told}"
    test = "; p: paired permutation test (Fisher)" if evaluation.differences else ""
    yield f"intervals: bootstrap over utterances (Bisani and Ney){test}"
    yield "S/D/I: words substituted, deleted, inserted; RTFx of a system: decoding, on one core"


def _failures(evaluation: Evaluation, shown: int) -> Iterator[str]:
    for failure in evaluation.failures[:shown]:
        yield f"failed: {shortened(failure.name)}: {failure.error}"
    yield from _more(len(evaluation.failures) - shown, "failed")


def _wrong(evaluation: Evaluation, shown: int, width: int) -> Iterator[str]:
    """Utterances that any system has a word wrong in."""
    wrong = [
        utterance
        for utterance in evaluation.utterances
        if any(recognized.words.errors for recognized in utterance.recognized)
    ]
    for utterance in wrong[:shown]:
        yield ""
        yield from _listed(evaluation, utterance, width)
    yield from _more(len(wrong) - shown, "wrong")


def _listed(evaluation: Evaluation, utterance: Utterance, width: int) -> Iterator[str]:
    """The utterance's name, and all texts word above word, in pieces that fit the width.

    Words that are not the reference's stand in brackets, missing ones are ``*``.
    """
    yield utterance.name + _losses(utterance.ctc_loss)
    names = ["reference", *(system.name for system in evaluation.systems)]
    margin = max(map(len, names))
    columns = [
        (expected, *(f"[{word}]" if word and word != expected else word for word in found))
        for expected, *found in word_columns(
            utterance.reference, *(each.text for each in utterance.recognized)
        )
    ]
    for piece in _pieces(columns, width - margin - 4):
        for name, line in zip(names, lines_of(piece, len(names)), strict=True):
            yield f"  {name:<{margin}}  {line}".rstrip()


def _losses(losses: Mapping[str, float]) -> str:
    told = [
        (f"{loss:.2f}" if math.isfinite(loss) else "infinite")
        + (f" ({model})" if len(losses) > 1 else "")
        for model, loss in losses.items()
    ]
    return f"  [CTC loss {', '.join(told)}]" if told else ""


def _pieces(columns: list[tuple[str, ...]], width: int) -> Iterator[list[tuple[str, ...]]]:
    """The columns in pieces at most ``width`` wide, or of one column."""
    piece: list[tuple[str, ...]] = []
    used = 0
    for column in columns:
        wide = max(map(len, column)) + 1  # with the space before it
        if piece and used + wide > width + 1:
            yield piece
            piece, used = [], 0
        piece.append(column)
        used += wide
    yield piece


def _more(number: int, kind: str) -> Iterator[str]:
    if number > 0:
        yield f"\n… {number} more {kind} utterances (--show-errors N)"
