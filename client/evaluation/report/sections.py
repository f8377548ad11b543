"""What is read of an evaluation, as HTML: findings, figures, what goes wrong, what failed."""

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Final

from ..result import Difference, Evaluation, Group, Score
from . import charts
from .statistics import Disagreement, DurationBin, Tally
from .wording import count, decoder, duration, p_value, percent, points, speed, unbroken, verdict

_ROWS: Final = 12
"""Of each list of words."""


def tiles(evaluation: Evaluation) -> str:
    """The size of it."""
    words = evaluation.scores[0].words.reference if evaluation.scores else 0
    facts = [
        count(len(evaluation.utterances), "utterance"),
        *([f"{duration(evaluation.audio_s)} audio"] if evaluation.audio_s else []),
        count(words, "word"),
        f"{len(evaluation.failures):,} failed",
    ]
    return "".join(
        f'<li><b>{figure}</b> <span class="soft">{name}</span></li>'
        for figure, name in (fact.rsplit(" ", 1) for fact in facts)
    )


def facts(evaluation: Evaluation, written: str) -> str:
    """What was evaluated, and how."""
    normalization = ", ".join(evaluation.normalization) or "none"
    entries = [("Manifest", _bdi(str(evaluation.manifest)))]
    for model, contract in evaluation.contracts.items():
        seconds = evaluation.acoustic_s.get(model, 0.0)
        pace = f"RTFx {speed(evaluation.audio_s, seconds)}" if seconds else "cached outputs"
        made_from = (
            f"checkpoint {_bdi(contract.checkpoint)} "
            f"<code>{escape(contract.checkpoint_sha256[:8])}</code>, {escape(contract.precision)}, "
            f"{unbroken(pace)}"
        )
        entries.append((f"Model {_bdi(model)}", made_from))
    entries += [("Normalisation", escape(normalization)), ("Created", escape(written))]
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in entries)


def systems(evaluation: Evaluation) -> str:
    """The headline table; it compares systems if there are several."""
    if not evaluation.scores:
        return ""
    rows = [_cells(evaluation, place) for place in range(len(evaluation.scores))]
    head = "".join(f'<th scope="col" class="{style}">{label}</th>' for label, style, _ in rows[0])
    body = "".join(
        f'<tr><th scope="row">{_system(evaluation, place)}</th>'
        + "".join(
            f'<td class="{style}" data-label="{label}">{cell}</td>' for label, style, cell in cells
        )
        + "</tr>"
        for place, cells in enumerate(rows)
    )
    mark = " The dotted line marks the WER of A." if len(rows) > 1 else ""
    rtfx = "RTFx is seconds of audio per second of computing; decoding uses one core."
    return (
        f'<p class="soft">Whiskers show the 95 % confidence interval.{mark} Errors are '
        '<span class="kinds"><i class="substitution"></i>substitutions</span>, '
        '<span class="kinds"><i class="deletion"></i>deletions</span> and '
        '<span class="kinds"><i class="insertion"></i>insertions</span>. '
        f"{rtfx if evaluation.contracts else ''}</p>"
        f'<table class="systems"><thead><tr><th scope="col">System</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _cells(evaluation: Evaluation, place: int) -> list[tuple[str, str, str]]:
    """Label, style and content of a system's cells."""
    scores = evaluation.scores
    score, baseline = scores[place], scores[0].words.rate if len(scores) > 1 else None
    longest = max(max(each.wer_interval.high, each.words.rate) for each in scores)
    errors = [each.words.errors for each in scores]
    best = score.words.errors == min(errors) < max(errors)
    interval = charts.interval(score, place, baseline, longest) + _interval(score)
    cells = [
        ("WER", "rate", _word_errors(score, best=best)),
        ("95 % interval", "wide", interval),
        ("Errors", "", charts.composition(score.words, max(errors)) + _kinds(score)),
        ("CER", "number", percent(score.characters.rate)),
    ]
    if len(scores) > 1:
        differences = {each.system: each for each in evaluation.differences}
        cells.append(("Difference from A", "", _difference(differences.get(score.system))))
    if any(each.decoding_s for each in scores):
        cells.append(("Decoding RTFx", "number", speed(evaluation.audio_s, score.decoding_s)))
    return cells


def _system(evaluation: Evaluation, place: int) -> str:
    """Letter and name, and what recognised; existing results have no model."""
    system = evaluation.systems[place]
    letter = badge(place, system.name) if len(evaluation.systems) > 1 else ""
    how = decoder(system.decoder) if system.model in evaluation.contracts else "existing results"
    model = f"{_bdi(system.model)}: " if len(evaluation.contracts) > 1 else ""
    return f"<div>{letter}<span>{_bdi(system.name)}<small>{model}{escape(how)}</small></span></div>"


def tally(
    rows: Sequence[Tally], names: Sequence[str], kind: str, heading: str, nothing: str
) -> str:
    """Words and how often each system got them wrong; a row shows where, in the list."""
    if not rows:
        return f'<p class="soft">{nothing}</p>'
    shown = rows[:_ROWS]
    most = max(max(row.counts) for row in shown)
    said = any(row.occurrences for row in shown)
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
    said_head = '<th scope="col" class="number">occurrences</th>' if said else ""
    return _scrolled(
        f'<table class="tally"><thead><tr><th scope="col">{heading}</th>{said_head}'
        f"{_heads(names)}</tr></thead><tbody>{body}</tbody></table>",
        heading,
    ) + _rest(rows)


def disagreement(found: Disagreement, names: Sequence[str]) -> str:
    """Who is right where others are not: a card, if there is more than one."""
    n_utterances = found.all_right + found.some_right + found.none_right
    if len(names) < 2 or not n_utterances:
        return ""
    sentence = (
        f"All systems are right in {found.all_right:,} of {count(n_utterances, 'utterance')}, "
        f"some in {found.some_right:,}, none in {found.none_right:,}. Texts differ in "
        f"{found.different_texts:,}."
    )
    most = max(max(row) for row in found.fewer) or 1
    body = "".join(
        f'<tr><th scope="row">{badge(place, names[place])} <bdi>{escape(names[place])}</bdi></th>'
        + "".join(
            _fewer(place, other, number, names, number / most) for other, number in enumerate(row)
        )
        + "</tr>"
        for place, row in enumerate(found.fewer)
    )
    caption = "Utterances in which the system on the left has fewer word errors than"
    table = _scrolled(
        f'<table class="tally fewer"><thead><tr><td></td>{_heads(names)}</tr></thead>'
        f"<tbody>{body}</tbody></table>",
        caption,
    )
    return (
        f'<div class="card"><h3>Where the systems disagree</h3><p>{sentence}</p>'
        f'<p class="soft">{caption}</p>{table}</div>'
    )


def durations(bins: Sequence[DurationBin], names: Sequence[str]) -> str:
    """The chart, and what its colours mean."""
    if not bins:
        return '<p class="soft">No lengths are known.</p>'
    legend = "".join(
        f"<li>{badge(place, name)} <bdi>{escape(name)}</bdi></li>"
        for place, name in enumerate(names)
        if len(names) > 1
    )
    return (
        '<p class="soft">Below each bar: length and number (n) of the utterances.</p>'
        f'{charts.by_duration(bins, names)}<ul class="legend">{legend}</ul>'
    )


def groups(evaluation: Evaluation) -> str:
    """A table for each field by which rates are given, with a row for each of its values."""
    badges = [badge(place, each.name) for place, each in enumerate(evaluation.systems)]
    names = badges if len(badges) > 1 else ["WER"]
    fields = groupby(evaluation.groups, lambda group: group.field)
    return "".join(_groups(field, list(rows), names) for field, rows in fields)


def _groups(field: str, rows: Sequence[Group], names: Sequence[str]) -> str:
    columns = ["utterances", "words", *names]
    head = "".join(f'<th scope="col" class="number">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{_bdi("(none)" if each.value is None else str(each.value))}</th>'
        f'<td class="number">{each.utterances:,}</td>'
        f'<td class="number">{each.scores[0].words.reference:,}</td>'
        + "".join(f'<td class="number">{percent(one.words.rate)}</td>' for one in each.scores)
        + "</tr>"
        for each in rows
    )
    table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    scrolled = _scrolled(table, escape(f"Word error rate by {field}"))
    return f'<div class="card"><h3>Word error rate by {_bdi(field)}</h3>{scrolled}</div>'


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
        f'<details class="card failures"><summary>{failed} failed and not counted</summary>'
        + _scrolled(
            '<table><thead><tr><th scope="col">line</th><th scope="col">name</th>'
            f'<th scope="col">reason</th></tr></thead><tbody>{rows}</tbody></table>',
            "Failed entries",
        )
        + "</details>"
    )


def badge(system: int, name: str) -> str:
    """A system's letter in its colour."""
    label = escape(f"{charts.letter(system)}: {name}")
    return (
        f'<abbr class="badge {charts.color(system)}" title="{label}">{charts.letter(system)}</abbr>'
    )


def _scrolled(table: str, name: str) -> str:
    """A table that scrolls by itself where the window is narrower."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">{table}</div>'


def _heads(names: Sequence[str]) -> str:
    """Of a column for each system."""
    if len(names) == 1:
        return '<th scope="col">count</th>'
    return "".join(f'<th scope="col">{badge(place, name)}</th>' for place, name in enumerate(names))


def _bdi(text: str) -> str:
    return f"<bdi>{escape(text)}</bdi>"


def _word_errors(score: Score, *, best: bool) -> str:
    rate = f"<b>{percent(score.words.rate)}</b>"
    note = ' <span class="best">best</span>' if best else ""
    return f"{rate}{note}<small>{count(score.words.errors, 'error')}</small>"


def _interval(score: Score) -> str:
    low, high = score.wer_interval.low, score.wer_interval.high
    return f"<small>{unbroken(f'{100 * low:.1f} to {percent(high)}')}</small>"


def _kinds(score: Score) -> str:
    words = score.words
    kinds = {"sub": words.substitutions, "del": words.deletions, "ins": words.insertions}
    figures = (unbroken(f"{number:,} {kind}") for kind, number in kinds.items())
    return f"<small>{' · '.join(figures)}</small>"


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return '<span class="soft">\N{EN DASH}</span>'
    low, high = difference.interval.low, difference.interval.high
    interval = unbroken(f"{points(low)} to {points(high)}")
    return (
        f"<b>{unbroken(f'{points(difference.wer)} points')}</b> "
        f"<small>{interval}, {p_value(difference.p_value)}: {verdict(difference)}</small>"
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
