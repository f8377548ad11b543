"""A SentencePiece tokenizer in the folder layout that NeMo's subword models read.

Flow: sentences → SentencePiece's trainer → ``tokenizer.model``, and beside it the lists of pieces
that NeMo packs into a checkpoint.
"""

from collections.abc import Iterable
from pathlib import Path

import sentencepiece

MODEL = "tokenizer.model"
_ERRORS_ONLY = 2


def train_tokenizer(
    sentences: Iterable[str], pieces: int, folder: Path, algorithm: str = "unigram"
) -> None:
    """Learn ``pieces`` pieces, ``<unk>`` among them, from ``sentences`` and fill ``folder``.

    ``algorithm`` is one of SentencePiece's, ``unigram`` or ``bpe``. Sentences have no start and no
    end piece, as NeMo trains CTC models. Raises ``RuntimeError`` when the sentences hold more
    characters than ``pieces`` or too few parts of words for as many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_prefix=str(folder / Path(MODEL).stem),
        vocab_size=pieces,
        model_type=algorithm,
        character_coverage=1.0,
        bos_id=-1,
        eos_id=-1,
        num_threads=1,  # the same pieces each time
        minloglevel=_ERRORS_ONLY,
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / MODEL))
    names = (processor.id_to_piece(index) for index in range(len(processor)))
    (folder / "vocab.txt").write_text("".join(f"{name}\n" for name in names))
