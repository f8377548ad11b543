"""A reference in a model's tokens, which its CTC loss is computed of.

Characters stand for themselves. How a SentencePiece model cuts a text only its tokenizer knows,
which is not served: it is given as a file, and known by its pieces to be the model's.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import DecoderError
from ..utils.utf8 import holds
from ..wire.contract import Contract

Spell: TypeAlias = Callable[[str], list[int] | None]
"""A text's tokens, or ``None`` where they cannot write it."""


class Tokenizers:
    """SentencePiece models from files, for the served models that were trained with them.

    Raises ``DecoderError`` when there are files and no package to read them, or when one
    cannot be read.
    """

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        self._by_pieces = {_pieces(model): model for model in map(_load, paths)}

    def spell(self, contract: Contract) -> Spell | None:
        """How the model's references are spelled; ``None`` for pieces without a tokenizer.

        Raises ``DecoderError`` when there are tokenizers and none of them is the model's.
        """
        if contract.vocabulary_kind == "char":
            return _characters(contract)
        if not self._by_pieces:
            return None
        if contract.vocabulary not in self._by_pieces:
            raise DecoderError(
                f"--tokenizer: the pieces are not the {len(contract.vocabulary)} of the model"
                f" exported from {contract.checkpoint}, expected its checkpoint's tokenizer.model"
            )
        return _cut(self._by_pieces[contract.vocabulary])


def _characters(contract: Contract) -> Spell:
    tokens = {label: token for token, label in enumerate(contract.vocabulary)}

    def spell(text: str) -> list[int] | None:
        text = " ".join(text.split())
        return [tokens[character] for character in text] if set(text) <= tokens.keys() else None

    return spell


def _cut(model: Any) -> Spell:
    unknown = model.unk_id()

    def spell(text: str) -> list[int] | None:
        tokens = list(model.encode(text)) if holds(text) else [unknown]
        return None if unknown in tokens else tokens

    return spell


def _load(path: Path) -> Any:
    try:
        processor = import_module("sentencepiece").SentencePieceProcessor
    except ModuleNotFoundError as error:
        raise DecoderError(
            "--tokenizer needs the package sentencepiece, which is not installed:"
            " pip install 'nemo-ctc-triton[tokenizer]'"
        ) from error
    try:
        return processor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise DecoderError(
            f"{path}: cannot be read as a SentencePiece model, expected the tokenizer.model of the"
            f" checkpoint ({error})"
        ) from error


def _pieces(model: Any) -> tuple[str, ...]:
    return tuple(map(model.id_to_piece, range(model.get_piece_size())))
