"""Puts the page together; it is one file, and asks nothing of any network."""

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Final

from ...audio import AudioOptions
from ...utils.files import written_whole
from ...utils.utf8 import json_text
from ..references import Tokenizers
from ..result import Evaluation
from . import sections, statistics
from .alignment import Kind, align_systems
from .data import data, embedded, linked
from .details import LogProbs, details
from .wording import finding


@dataclass(frozen=True)
class ReportOptions:
    """How much of an evaluation its page holds."""

    embed_audio: bool = False
    """Put the audio into the page, as FLAC (about 1.2 MB a minute at 16 kHz), instead of links."""
    detailed: int = 20
    """Utterances with spectrogram and posteriorgram, those with most errors (5 kB a second)."""
    longest_detailed_s: float = 60.0
    """Utterances longer than this have neither."""
    audio: AudioOptions = field(default_factory=AudioOptions)
    """How the recordings were read: what is drawn and embedded is what the models heard."""
    tokenizers: Tokenizers = field(default_factory=Tokenizers)
    """To align references with the outputs of models with SentencePiece vocabularies."""


_RATE_HZ: Final = 16_000
"""Of embedded audio where no model has one."""
_ASSETS: Final = files(__package__) / "assets"
_SCRIPTS: Final = ("utterances.js", "player.js", "timeline.js", "list.js", "report.js")
"""In this order: each uses the ones before it."""


def write_report(
    evaluation: Evaluation, path: Path, log_probs: LogProbs, options: ReportOptions | None = None
) -> None:
    """Write the page to ``path``, whole or not at all.

    ``log_probs`` gives an utterance's ``[S, V]`` by the name of a model, or ``None``; it is asked
    for the utterances with most errors only. Raises ``OSError`` when the page cannot be written.
    """
    options = options or ReportOptions()
    page = _page(evaluation, path, log_probs, options)
    with written_whole(path) as part:
        part.write_text(page, encoding="utf-8", errors="replace")


def _page(evaluation: Evaluation, path: Path, log_probs: LogProbs, options: ReportOptions) -> str:
    names = [system.name for system in evaluation.systems]
    alignments = [align_systems(utterance) for utterance in evaluation.utterances]
    audio = linked(path)
    if options.embed_audio:
        rates_hz = (contract.sample_rate_hz for contract in evaluation.contracts.values())
        audio = embedded(next(rates_hz, _RATE_HZ), options.audio)
    script = "\n".join(_asset(name) for name in _SCRIPTS)
    return Template(_asset("report.html")).substitute(
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        script=script,
        style=_asset("report.css"),
        manifest=escape(evaluation.manifest.name),
        finding=escape(finding(evaluation)),
        tiles=sections.tiles(evaluation),
        facts=sections.facts(evaluation, datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")),
        systems=sections.systems(evaluation),
        failures=sections.failures(evaluation),
        groups=sections.groups(evaluation),
        disagreement=sections.disagreement(statistics.disagreement(evaluation.utterances), names),
        durations=sections.durations(statistics.duration_bins(evaluation.utterances), names),
        **_words(alignments, names),
        data=_json(data(evaluation, alignments, audio, details(evaluation, log_probs, options))),
    )


def _words(alignments: statistics.Alignments, names: list[str]) -> dict[str, str]:
    """The lists of words, by their places in the page."""
    substituted, deleted, inserted = (
        statistics.errors_of(kind, alignments)
        for kind in (Kind.SUBSTITUTION, Kind.DELETION, Kind.INSERTION)
    )
    wrong = statistics.wrong_words(alignments)
    lists = {
        "confusions": (substituted, "s", "reference → hypothesis", "substituted"),
        "wrong": (wrong, "sd", "reference", "wrong"),
        "deleted": (deleted, "d", "reference", "deleted"),
        "inserted": (inserted, "i", "hypothesis", "inserted"),
    }
    return {
        place: sections.tally(tallies, names, kinds, heading, f"No word is {what}.")
        for place, (tallies, kinds, heading, what) in lists.items()
    }


def _json(document: Any) -> str:
    """JSON that can stand in a ``script`` element, whatever its texts are."""
    text = json_text(document, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
