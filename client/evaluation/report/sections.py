"""What is read of an evaluation, as HTML: findings, figures, what goes wrong, what failed."""

from collections.abc import Sequence
from html import escape
from typing import Final

from ..result import Difference, Evaluation, Score
from . import charts
from .statistics import Disagreement, DurationBin, Tally
from .wording import (
    count,
    decoder,
    duration,
    p_value,
    percent,
    points,
    speed,
    verdict,
)

_ROWS: Final = 12
"""Of each list of words."""


def tiles(evaluation: Evaluation) -> str:
    """The size of it."""
    words = evaluation.scores[0].words.reference if evaluation.scores else 0
    facts = (
        ("utterances", f"{len(evaluation.utterances):,}"),
        ("audio", duration(evaluation.audio_s)),
        ("words", f"{words:,}"),
        ("failed", f"{len(evaluation.failures):,}"),
    )
    return "".join(
        f'<li><b>{figure}</b> <span class="soft">{name}</span></li>' for name, figure in facts
    )


def facts(evaluation: Evaluation, written: str) -> str:
    """What was evaluated, and how."""
    compared = ", ".join(evaluation.normalization) or "as they are"
    entries = [("Manifest", _bdi(str(evaluation.manifest)))]
    for model, contract in evaluation.contracts.items():
        seconds = evaluation.acoustic_s.get(model, 0.0)
        pace = speed(evaluation.audio_s, seconds) if seconds else "outputs kept from before"
        made_from = (
            f"checkpoint {_bdi(contract.checkpoint)} "
            f"<code>{escape(contract.checkpoint_sha256[:8])}</code>, {escape(contract.precision)}"
        )
        entries += [(f"Model {_bdi(model)}", made_from), ("Acoustic RTFx", pace)]
    entries += [("Texts compared", escape(compared)), ("Written", escape(written))]
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in entries)


def systems(evaluation: Evaluation) -> str:
    """The headline table's rows."""
    scores = evaluation.scores
    longest = max((max(each.wer_interval.high, each.words.rate) for each in scores), default=0.0)
    worst = max((score.words.errors for score in scores), default=0)
    best = min((score.words.errors for score in scores), default=0)
    differences = {each.system: each for each in evaluation.differences}
    rows = []
    pairs = zip(evaluation.systems, scores, strict=False)  # no scores without utterances
    for place, (system, score) in enumerate(pairs):
        model = f"{_bdi(system.model)}: " if len(evaluation.contracts) > 1 else ""
        cells = (
            ("WER", "rate", _word_errors(score, best=score.words.errors == best < worst)),
            (
                "95 % interval",
                "wide",
                charts.interval(score, place, scores[0].words.rate, longest) + _interval(score),
            ),
            ("Errors", "", charts.composition(score.words, worst) + _kinds(score)),
            ("CER", "number", percent(score.characters.rate)),
            ("Against A", "", _difference(differences.get(score.system))),
            ("Decoding RTFx", "number", speed(evaluation.audio_s, score.decoding_s)),
        )
        rows.append(
            f'<tr><th scope="row"><div>{badge(place, score.system)}<span>{_bdi(score.system)}'
            f"<small>{model}{escape(decoder(system.decoder))}</small></span></div></th>"
            + "".join(
                f'<td class="{style}" data-label="{label}">{cell}</td>'
                for label, style, cell in cells
            )
            + "</tr>"
        )
    return "".join(rows)


def tally(
    rows: Sequence[Tally], names: Sequence[str], kind: str, heading: str, nothing: str
) -> str:
    """Words and how often each system got them wrong; a row shows where, in the list."""
    if not rows:
        return f'<p class="soft">{nothing}</p>'
    shown = rows[:_ROWS]
    most = max(max(row.counts) for row in shown)
    said = any(row.occurrences for row in shown)
    head = "".join(f'<th scope="col">{badge(place, name)}</th>' for place, name in enumerate(names))
    body = "".join(
        f'<tr><th scope="row">{_words(row, kind)}</th>'
        + (f'<td class="number">{row.occurrences:,}</td>' if said else "")
        + "".join(
            f'<td class="count {charts.color(place)}" style="--share:{number / most:.2f}">'
            f"{number or '·'}</td>"
            for place, number in enumerate(row.counts)
        )
        + "</tr>"
        for row in shown
    )
    said_head = '<th scope="col" class="number">said</th>' if said else ""
    return (
        f'<table class="tally"><thead><tr><th scope="col">{heading}</th>{said_head}{head}</tr>'
        f"</thead><tbody>{body}</tbody></table>{_rest(rows)}"
    )


def disagreement(found: Disagreement, names: Sequence[str]) -> str:
    """Who is right where others are not: a card, if there is more than one."""
    n_utterances = found.all_right + found.some_right + found.none_right
    if len(names) < 2 or not n_utterances:
        return ""
    sentence = (
        f"All are right in {found.all_right:,} of {count(n_utterances, 'utterance')}, none in "
        f"{found.none_right:,}, only some in {found.some_right:,}. Texts differ in "
        f"{found.different_texts:,}."
    )
    most = max(max(row) for row in found.fewer) or 1
    head = "".join(f'<th scope="col">{badge(place, name)}</th>' for place, name in enumerate(names))
    body = "".join(
        f'<tr><th scope="row">{badge(place, names[place])} <bdi>{escape(names[place])}</bdi></th>'
        + "".join(
            _fewer(place, other, number, names, number / most) for other, number in enumerate(row)
        )
        + "</tr>"
        for place, row in enumerate(found.fewer)
    )
    return (
        f'<div class="card"><h3>Where the systems disagree</h3><p>{sentence}</p>'
        '<table class="tally fewer"><caption>Utterances in which the system on '
        f"the left has fewer word errors than</caption><thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def durations(bins: Sequence[DurationBin], names: Sequence[str]) -> str:
    """The chart, and what its colours mean."""
    if not bins:
        return '<p class="soft">There are no utterances.</p>'
    legend = "".join(
        f"<li>{badge(place, name)} <bdi>{escape(name)}</bdi></li>"
        for place, name in enumerate(names)
    )
    return f'{charts.by_duration(bins, names)}<ul class="legend">{legend}</ul>'


def failures(evaluation: Evaluation) -> str:
    """What is in no rate, and why."""
    if not evaluation.failures:
        return ""
    rows = "".join(
        f'<tr><td class="number">{each.line}</td><td>{_bdi(each.name)}</td>'
        f"<td>{_bdi(each.error)}</td></tr>"
        for each in evaluation.failures
    )
    failed = count(len(evaluation.failures), "entry", "entries")
    return (
        f'<details class="card failures"><summary>{failed} failed, in no rate</summary>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Failed entries"><table>'
        '<thead><tr><th scope="col">line</th><th scope="col">name</th><th scope="col">reason</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def badge(system: int, name: str) -> str:
    """A system's letter in its colour."""
    label = escape(f"{charts.letter(system)}: {name}")
    return (
        f'<abbr class="badge {charts.color(system)}" title="{label}">{charts.letter(system)}</abbr>'
    )


def _bdi(text: str) -> str:
    return f"<bdi>{escape(text)}</bdi>"


def _word_errors(score: Score, *, best: bool) -> str:
    rate = f"<b>{percent(score.words.rate)}</b>"
    note = ' <span class="best">fewest</span>' if best else ""
    return f"{rate}{note}<small>{count(score.words.errors, 'error')}</small>"


def _interval(score: Score) -> str:
    low, high = score.wer_interval.low, score.wer_interval.high
    return f"<small>{100 * low:.1f} to {percent(high)}</small>"


def _kinds(score: Score) -> str:
    words = score.words
    return (
        f"<small>{words.substitutions:,} sub · {words.deletions:,} del · {words.insertions:,} ins"
        "</small>"
    )


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return '<span class="soft">\N{EN DASH}</span>'
    low, high = difference.interval.low, difference.interval.high
    return (
        f"<b>{points(difference.wer)} points</b> <small>{points(low)} to {points(high)}, "
        f"{p_value(difference.p_value)}: {verdict(difference)}</small>"
    )


def _words(row: Tally, kind: str) -> str:
    arrow = ' <span class="soft">→</span> ' if row.reference and row.hypothesis else ""
    reference = f"<bdi>{escape(row.reference)}</bdi>" if row.reference else ""
    hypothesis = f"<bdi>{escape(row.hypothesis)}</bdi>" if row.hypothesis else ""
    return (
        f'<button type="button" class="plain" data-kind="{kind}" '
        f'data-reference="{escape(row.reference)}" data-hypothesis="{escape(row.hypothesis)}">'
        f"{reference}{arrow}{hypothesis}</button>"
    )


def _rest(rows: Sequence[Tally]) -> str:
    if len(rows) <= _ROWS:
        return ""
    return f'<p class="soft">and {count(len(rows) - _ROWS, "other")}</p>'


def _fewer(system: int, other: int, number: int, names: Sequence[str], share: float) -> str:
    if system == other:
        return '<td class="none"></td>'
    label = escape(f"{names[system]} has fewer errors than {names[other]}: {number}")
    return (
        f'<td class="count {charts.color(system)}" style="--share:{share:.2f}">'
        f'<button type="button" class="plain" data-better="{system}" data-worse="{other}" '
        f'aria-label="{label}">{number}</button></td>'
    )
