"""Words that the acoustic model cannot write are refused: in a search they could only do harm.

A language model none of whose words can be written would make everything an unknown word; a
hotword that cannot would pull hypotheses towards it that have to give the bonus back.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

from ..errors import DecoderError
from ..language_models.cases import CASES
from ..vocabulary import Detokenizer
from .options import Hotword


def check_words(
    lm: Path | str, words: Collection[str], detokenizer: Detokenizer, lm_case: str | None
) -> None:
    """Raise ``DecoderError`` when none of a language model's words can be written.

    ``lm_case`` is how hypotheses are written for it; ``None`` where there is no choice.
    """
    written = frozenset(CASES[lm_case or "keep"]("".join(detokenizer.written)))
    if any(written.issuperset(word) for word in words):
        return
    examples = ", ".join(sorted(words)[:3])
    own_case = () if lm_case is None else ("BeamOptions.lm_case",)
    raise DecoderError(
        f"{lm}: the acoustic model can write none of its {len(words)} words ({examples}): if only "
        "the case differs, name the language model's, or convert it to the acoustic model's; "
        "otherwise it is a model of tokens or of another language",
        options=(*own_case, "convert()", "convert(case)"),
    )


def check_hotwords(hotwords: Iterable[Hotword], detokenizer: Detokenizer) -> None:
    """Raise ``DecoderError`` when a hotword cannot be written."""
    characters = frozenset("".join(detokenizer.written))
    for hotword in hotwords:
        if strange := set("".join(hotword.text.split())) - characters:
            raise DecoderError(
                f"hotword {hotword.text!r}: the acoustic model cannot write "
                f"{', '.join(map(repr, sorted(strange)))}: spell it in its characters and case",
                options=("BeamOptions.hotwords",),
            )
