"""Subwords on real SentencePiece tokenizers: text as NeMo makes it, and the recipe's variant."""

import json
import random
import tarfile
from functools import cache
from itertools import groupby

import lightning.pytorch as lightning
import numpy as np
import pytest
import sentencepiece
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nemo.collections.asr.parts.submodules.ctc_decoding import (
    CTCBPEDecoding,
    CTCBPEDecodingConfig,
    CTCDecoding,
    CTCDecodingConfig,
)
from nemo.collections.common.tokenizers import SentencePieceTokenizer

from client.vocabulary import Detokenizer
from demo import train
from demo.paths import DEMO
from demo.subwords import MODEL, train_tokenizer
from export.checkpoint import load_checkpoint
from export.verification.reference import run_nemo
from tests.export import models
from tests.export.support import export, noise

PIECES = 60
DEMO_MODEL = str(DEMO / "demo.nemo")
CHARACTERS = (" ", "a", "b", "'", ".", "-", "]", "é")
NEMOS_CHARACTERS = CTCDecoding(CTCDecodingConfig(), list(CHARACTERS))


def made_up_sentences():
    """Words of few syllables, some with an apostrophe, with commas and full stops between."""
    rng = random.Random(0)  # noqa: S311
    words = ["".join(rng.choices(["ba", "do", "ki", "'s", "tu", "n"], k=3)) for _ in range(60)]
    return [" ".join(rng.choices([*words, ".", ","], k=8)) for _ in range(400)]


@cache
def nemos_decoding(folder, algorithm, keeps_spaces):
    """For a tokenizer of at most ``PIECES`` pieces; NeMo's own script lets it keep spaces."""
    path = folder / f"{algorithm}_{keeps_spaces}"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(made_up_sentences()),
        model_prefix=str(path),
        vocab_size=PIECES,
        hard_vocab_limit=False,
        model_type=algorithm,
        remove_extra_whitespaces=not keeps_spaces,
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    tokenizer = SentencePieceTokenizer(f"{path}.model")
    tokenizer.tokenizer.vocab_size = tokenizer.vocab_size  # as NeMo's models set it
    return CTCBPEDecoding(CTCBPEDecodingConfig(), tokenizer)


def nemo_text(decoding, tokens, n_tokens):
    """What NeMo's greedy decoding makes of frames that leave no doubt."""
    log_probs = torch.full((1, len(tokens), n_tokens), -10.0)
    log_probs[0, torch.arange(len(tokens)), torch.tensor(tokens)] = 0.0
    (hypothesis,) = decoding.ctc_decoder_predictions_tensor(log_probs, torch.tensor([len(tokens)]))
    return hypothesis.text


def our_text(vocabulary, kind, tokens):
    merged = [token for token, _ in groupby(tokens) if token != len(vocabulary)]
    return Detokenizer(vocabulary, kind).text(merged)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tokenizers")


@pytest.mark.parametrize("keeps_spaces", [False, True])
@pytest.mark.parametrize("algorithm", ["unigram", "bpe", "char"])
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_pieces_are_written_as_nemo_writes_them(folder, algorithm, keeps_spaces, data):
    decoding = nemos_decoding(folder, algorithm, keeps_spaces)
    vocabulary = tuple(decoding.tokenizer.vocab)
    special = [index for index, piece in enumerate(vocabulary) if piece in ("<unk>", "▁", ".", "'")]
    token = st.integers(0, len(vocabulary)) | st.sampled_from(special)
    tokens = data.draw(st.lists(token, min_size=1, max_size=12))
    expected = nemo_text(decoding, tokens, len(vocabulary) + 1)
    actual = our_text(vocabulary, "sentencepiece", tokens)
    if keeps_spaces:  # how many at the start, a contract does not tell
        expected, actual = expected.lstrip(), actual.lstrip()
    assert actual == expected


@settings(max_examples=50, deadline=None)
@given(tokens=st.lists(st.integers(0, len(CHARACTERS)), min_size=1, max_size=12))
def test_characters_are_written_as_nemo_writes_them(tokens):
    expected = nemo_text(NEMOS_CHARACTERS, tokens, len(CHARACTERS) + 1)
    assert our_text(CHARACTERS, "char", tokens) == expected


@pytest.mark.parametrize("algorithm", ["unigram", "bpe"])
def test_a_tokenizer_is_the_same_each_time_and_knows_every_character(tmp_path, algorithm):
    for name in ("one", "two"):
        train_tokenizer(made_up_sentences(), PIECES, tmp_path / name, algorithm)
    model = (tmp_path / "one" / MODEL).read_bytes()
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    names = [processor.id_to_piece(index) for index in range(len(processor))]
    assert len(names) == PIECES
    assert (tmp_path / "one" / "vocab.txt").read_text().splitlines() == names
    assert names == (tmp_path / "two" / "vocab.txt").read_text().splitlines()
    assert not any(processor.is_control(index) for index in range(len(processor)))
    for sentence in made_up_sentences()[:20]:
        assert processor.unk_id() not in processor.encode(sentence)
        assert processor.decode(processor.encode(sentence)) == sentence


@pytest.mark.parametrize("pieces", [5, 5000])
def test_a_tokenizer_of_too_few_or_too_many_pieces_is_refused(tmp_path, pieces):
    with pytest.raises(RuntimeError, match=r"(?i)vocabulary size"):
        train_tokenizer(made_up_sentences(), pieces, tmp_path)


@pytest.fixture(scope="module")
def subword_model(tmp_path_factory):
    """The recipe's variant before its first step: the demo's encoder, a new head, three clips."""
    folder = tmp_path_factory.mktemp("recipe")
    soundfile.write(folder / "clip.wav", noise(16000), 16000)
    lines = [
        json.dumps({"audio_filepath": str(folder / "clip.wav"), "duration": 1.0, "text": text})
        for text in made_up_sentences()
    ]
    for name in ("train.jsonl", "dev.jsonl"):
        (folder / name).write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "GENERATED", folder)
        patch.setattr(train, "TRAINING_MANIFEST", folder / "train.jsonl")
        model = train._subword_model(PIECES, lightning.Trainer(logger=False, accelerator="cpu"))
        train._start_from(model, DEMO_MODEL)
        train._save(model, folder / "variant.nemo")
    return folder / "variant.nemo"


@pytest.mark.filterwarnings("ignore:Since Lhotse:DeprecationWarning")
def test_the_variant_has_the_demos_encoder_and_a_head_for_its_pieces(subword_model):
    variant, demo = load_checkpoint(str(subword_model)), load_checkpoint(DEMO_MODEL)
    for name, weights in demo.model.encoder.state_dict().items():
        assert torch.equal(variant.model.encoder.state_dict()[name], weights), name
    assert variant.head.num_classes_with_blank == PIECES + 1
    assert variant.vocabulary == tuple(variant.model.tokenizer.vocab)
    assert variant.vocabulary_kind == "sentencepiece"


@pytest.mark.filterwarnings("ignore:Since Lhotse:DeprecationWarning")
def test_the_variants_file_names_no_path_of_the_machine_that_trained_it(subword_model):
    with tarfile.open(subword_model) as archive:
        names = {name.removeprefix("./"): name for name in archive.getnames()}
        config = archive.extractfile(names["model_config.yaml"]).read().decode()
    assert "manifest_filepath" not in config
    assert str(subword_model.parent) not in config
    assert any(name.endswith(MODEL) for name in names)


def test_starting_from_the_same_vocabulary_keeps_the_head():
    demo = load_checkpoint(DEMO_MODEL).model
    head = {name: weights.clone() for name, weights in demo.decoder.state_dict().items()}
    with torch.no_grad():
        for weights in demo.parameters():
            weights.zero_()
    train._start_from(demo, DEMO_MODEL)
    for name, weights in demo.decoder.state_dict().items():
        assert torch.equal(weights, head[name]), name


def test_exported_pieces_are_nemos_text(tmp_path):
    """Random weights on the tokenizer of the random models: words of many pieces, and unknowns."""
    checkpoint = models.small("citrinet")
    exported = export(checkpoint, tmp_path / "repository")
    assert exported.contract.vocabulary_kind == "sentencepiece"
    texts = []
    for n_samples in (8000, 16000, 40000):
        audio = noise(n_samples)
        (actual,) = exported.graphs.run([audio])
        expected = run_nemo(checkpoint, audio)
        assert actual.tokens.tolist() == expected.tokens.tolist()
        assert actual.text.lstrip() == expected.text.lstrip()
        texts.append(expected.text)
    assert max(np.unique(text.split()).size for text in texts) > 3
