"""Evaluations made by hand: what systems recognised is written, not computed."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from client.audio import Clip
from client.decoding import BeamOptions, GreedyOptions
from client.evaluation.metrics import character_errors, word_errors
from client.evaluation.result import (
    Difference,
    Evaluation,
    Interval,
    Recognized,
    Score,
    System,
    Utterance,
)
from client.transcript import Transcript, Word
from client.wire.contract import Contract
from tests.client.support import CONTRACT

WORD_S = 0.3


def recognized(reference: str, text: str, confidence: float | None = 0.9) -> Recognized:
    """``text`` with its words one after another, each ``WORD_S`` long."""
    edges = np.arange(len(text.split()) + 1) * WORD_S
    words = tuple(
        Word(word, float(start), float(end), confidence)
        for word, (start, end) in zip(text.split(), pairwise(edges), strict=True)
    )
    return Recognized(
        Transcript(text, words),
        text,
        word_errors([reference], [text]),
        character_errors([reference], [text]),
    )


def utterance(
    line: int,
    reference: str,
    texts: Sequence[str],
    *,
    clip: Clip | None = None,
    duration_s: float = 1.5,
    name: str = "",
) -> Utterance:
    """What each system made of ``reference``."""
    return Utterance(
        line,
        name or f"{line}.wav",
        clip or Clip(Path(f"{line}.wav")),
        duration_s,
        reference,
        tuple(recognized(reference, text) for text in texts),
    )


def evaluation(
    utterances: Sequence[Utterance],
    names: Sequence[str] = ("greedy", "beam"),
    contract: Contract = CONTRACT,
) -> Evaluation:
    """Of these utterances; the first system is greedy, intervals are two points wide."""
    columns = list(zip(*(each.recognized for each in utterances), strict=True))
    scores = tuple(
        Score(
            name,
            words := sum((each.words for each in column[1:]), column[0].words),
            sum((each.characters for each in column[1:]), column[0].characters),
            Interval(max(0.0, words.rate - 0.01), words.rate + 0.01),
            Interval(0.0, 1.0),
            0.01,
        )
        for name, column in zip(names, columns, strict=False)
    )
    differences = tuple(
        Difference(
            score.system,
            names[0],
            score.words.rate - scores[0].words.rate,
            Interval(-0.05, 0.01),
            0.2,
        )
        for score in scores[1:]
    )
    systems = [System(names[0], "demo", GreedyOptions())]
    systems += [System(name, "demo", BeamOptions()) for name in names[1:]]
    return Evaluation(
        manifest=Path("test.jsonl"),
        systems=tuple(systems),
        contracts={"demo": contract},
        normalization=(),
        utterances=tuple(utterances),
        failures=(),
        scores=scores,
        differences=differences,
        audio_s=sum(each.duration_s for each in utterances),
        acoustic_s={"demo": 1.0},
    )


def texts_only(found: Evaluation) -> Evaluation:
    """The same of existing results that have texts and nothing else."""
    utterances = tuple(
        replace(
            each,
            clip=Clip(b""),
            duration_s=0.0,
            recognized=tuple(
                replace(one, transcript=Transcript(one.text, ())) for one in each.recognized
            ),
        )
        for each in found.utterances
    )
    return replace(
        found,
        systems=tuple(replace(each, model="") for each in found.systems),
        contracts={},
        utterances=utterances,
        scores=tuple(replace(each, decoding_s=0.0) for each in found.scores),
        audio_s=0.0,
        acoustic_s={},
    )
