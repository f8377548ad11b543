"""The CTC loss is PyTorch's, and the sum over all alignments; references in a model's tokens."""

import sys
from dataclasses import replace
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.errors import DecoderError, MissingPackage
from client.evaluation.references import Tokenizers, ctc_loss
from tests.client.support import CONTRACT, PIECES


def log_softmax(values):
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def test_it_is_pytorchs():
    """torch.nn.functional.ctc_loss(…, blank=4, reduction="sum"), torch 2.13.0, of float64."""
    rng = np.random.default_rng(7)
    for n_frames, tokens, expected in (
        (6, [0, 1], 6.506165935585037),
        (9, [2, 2, 0], 6.459692260633589),
        (12, [1, 1, 1, 0, 3], 15.398321281638431),
        (5, [3], 6.33738617231109),
        (4, [], 8.073488406941095),
    ):
        log_probs = log_softmax(rng.normal(size=(n_frames, 5)))
        assert ctc_loss(log_probs, tokens, 4) == pytest.approx(expected, rel=1e-12)


@given(
    n_frames=st.integers(0, 5),
    tokens=st.lists(st.integers(0, 1), max_size=4),
    seed=st.integers(0, 9),
)
def test_it_is_the_sum_over_all_alignments(n_frames, tokens, seed):
    blank = 2
    log_probs = log_softmax(np.random.default_rng(seed).normal(size=(n_frames, 3)))
    total = sum(
        np.exp(sum(frame[token] for frame, token in zip(log_probs, path, strict=True)))
        for path in product(range(3), repeat=n_frames)
        if [token for token, _ in groupby(path) if token != blank] == tokens
    )
    expected = -np.log(total) if total else np.inf
    assert ctc_loss(log_probs, tokens, blank) == pytest.approx(expected)


def test_it_is_infinite_where_the_tokens_do_not_fit_or_cannot_be():
    log_probs = log_softmax(np.zeros((3, 3)))
    assert ctc_loss(log_probs, [0, 0], 2) < np.inf
    assert ctc_loss(log_probs, [0, 0, 1], 2) == np.inf  # the two need a blank between them
    log_probs[:, 1] = -np.inf
    assert ctc_loss(log_probs, [1], 2) == np.inf


def test_float16_is_summed_in_float64():
    log_probs = log_softmax(np.zeros((400, 3))).astype(np.float16)
    exact = log_probs.astype(np.float64)
    assert ctc_loss(log_probs, [0, 1], 2) == ctc_loss(exact, [0, 1], 2)


def test_characters_spell_what_they_can():
    spell = Tokenizers().spell(CONTRACT)
    tokens = spell("  don't  go ")
    assert "".join(CONTRACT.vocabulary[token] for token in tokens) == "don't go"
    assert spell("") == []
    assert spell("Don't") is None


def test_pieces_are_not_spelled_without_a_tokenizer():
    assert Tokenizers().spell(PIECES) is None


def test_a_tokenizer_without_its_package_is_an_error_that_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingPackage, match=r"pip install .\.\[tokenizer\]"):
        Tokenizers([tmp_path / "tokenizer.model"])


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A SentencePiece model of a few pieces, and the contract of an acoustic model with these."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "text.txt").write_text("cat cot cats cots coat coats\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=12,
        model_type="bpe",
        bos_id=-1,
        eos_id=-1,
        minloglevel=3,
    )
    path = folder / "tokenizer.model"
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    pieces = tuple(map(model.id_to_piece, range(model.get_piece_size())))
    return path, replace(PIECES, vocabulary=pieces, blank=len(pieces))


def test_pieces_are_those_of_the_models_own_tokenizer(tokenizer):
    path, contract = tokenizer
    spell = Tokenizers([path]).spell(contract)
    written = "".join(contract.vocabulary[token] for token in spell("cat coats"))
    assert written.replace("▁", " ") == " cat coats"
    assert spell("dog") is None  # it would be <unk>


def test_another_models_tokenizer_is_refused(tokenizer, tmp_path):
    path, _ = tokenizer
    with pytest.raises(DecoderError, match="the tokenizer's pieces are not the 6 of the model"):
        Tokenizers([path]).spell(PIECES)
    assert Tokenizers([path]).spell(CONTRACT) is not None  # which needs none
    damaged = tmp_path / "tokenizer.model"
    damaged.write_bytes(path.read_bytes()[:100])
    for bad in (damaged, tmp_path / "gone.model"):
        with pytest.raises(DecoderError, match="cannot be read as a SentencePiece model"):
            Tokenizers([bad])
