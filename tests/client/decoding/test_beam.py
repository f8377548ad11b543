"""Beam search: the language model counts, bad ones are refused, and the best text is found."""

import gc
import gzip
import math
import re
import subprocess
import sys
import weakref
from dataclasses import replace
from itertools import groupby, product

import kenlm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.commands.flags import FLAGS
from client.decoding import BeamDecoder, BeamOptions, GreedyDecoder, Hotword, WeightedLm
from client.errors import DecoderError, MissingPackage
from client.language_models import load_language_model, read_words
from client.vocabulary import Detokenizer
from tests.client.support import ARPA, CONTRACT, PIECES, peaky, tokens_of

N_TOKENS = CONTRACT.blank + 1
PLAIN = BeamDecoder(CONTRACT, BeamOptions())


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    return path


@pytest.fixture
def arpa_gz(tmp_path):
    path = tmp_path / "model.arpa.gz"
    path.write_bytes(gzip.compress(ARPA.encode()))
    return path


def cot_rather_than_cat():
    """Acoustics that prefer "cot" to "cat" by three to two."""
    log_probs = peaky(tokens_of("cot"), N_TOKENS)
    log_probs[2, [1, 15]] = np.log([0.4, 0.6])  # a, o
    return log_probs


def test_the_language_model_corrects_the_acoustics(arpa):
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=arpa))
    assert PLAIN.decode(cot_rather_than_cat()).text == "cot"
    assert decoder.decode(cot_rather_than_cat()).text == "cat"
    decoder.close()


def test_a_language_model_may_be_named_by_text(arpa):
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=str(arpa)))
    assert decoder.decode(cot_rather_than_cat()).text == "cat"
    decoder.close()


def test_without_weight_the_language_model_corrects_nothing(arpa):
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=arpa, alpha=0))
    assert decoder.decode(cot_rather_than_cat()).text == "cot"
    decoder.close()


@given(st.lists(st.sampled_from([0, 1, 2, 3, CONTRACT.blank]), max_size=15))
def test_without_language_model_and_doubt_beam_search_is_greedy(tokens):
    array = np.array(tokens, np.int32)
    greedy = GreedyDecoder(CONTRACT).decode(array).text
    assert PLAIN.decode(peaky(array, N_TOKENS)).text == " ".join(greedy.split())


def test_beam_search_sums_over_alignments_where_greedy_does_not():
    probs = np.full((2, N_TOKENS), 1e-6, np.float32)
    probs[:, [1, CONTRACT.blank]] = [0.45, 0.55]  # "a": 0.45² + 2 · 0.45 · 0.55 > 0.55²
    assert PLAIN.decode(np.log(probs)).text == "a"


def test_pieces_are_searched_as_words():
    decoder = BeamDecoder(PIECES, BeamOptions())
    log_probs = peaky(np.array([1, 6, 3, 3, 2, 3, 4]), PIECES.blank + 1)
    assert decoder.decode(log_probs).text == "cat cots"
    decoder.close()


@pytest.mark.parametrize("runner_up", [PIECES.vocabulary.index("▁"), 0], ids=["▁", "<unk>"])
@pytest.mark.parametrize("frame", range(4))
def test_an_unlikely_mark_does_not_break_the_best_word(runner_up, frame):
    tokens = np.array([1, 3, 4, PIECES.blank])  # ▁ca, t, s
    probs = np.exp(peaky(tokens, PIECES.blank + 1))
    probs[frame, [runner_up, tokens[frame]]] = [0.05, 0.94]
    decoder = BeamDecoder(PIECES, BeamOptions())
    assert decoder.decode(np.log(probs)).text == "cats"
    decoder.close()


def test_a_lone_word_mark_starts_a_word():
    decoder = BeamDecoder(PIECES, BeamOptions())
    log_probs = peaky(np.array([1, 3, 5, 4, 3, 0, 2]), PIECES.blank + 1)  # ▁ca t ▁ s t <unk> ▁co
    assert decoder.decode(log_probs).text == "cat st ⁇ co"
    decoder.close()


def test_an_unknown_piece_is_a_word_of_its_own_whatever_follows():
    decoder = BeamDecoder(PIECES, BeamOptions())
    log_probs = peaky(np.array([1, 0, 3, 4]), PIECES.blank + 1)  # ▁ca <unk> t s
    assert decoder.decode(log_probs).text == "ca ⁇ ts"
    decoder.close()


def test_pieces_of_several_words_are_scored_word_by_word(arpa):
    contract = replace(PIECES, vocabulary=("▁cat▁and", "▁dog"), blank=2)
    decoder = BeamDecoder(contract, BeamOptions(lm=arpa))
    [hypothesis] = decoder.decode(peaky(np.array([0, 1]), 3)).nbest
    assert hypothesis.text == "cat and dog"
    [score] = scores_by_definition(["cat and dog"], BeamOptions(lm=arpa))
    assert hypothesis.language_model_score == pytest.approx(score, abs=1e-4)


def test_a_mark_after_a_space_is_closed_up():
    decoder = BeamDecoder(CONTRACT, BeamOptions())
    assert decoder.decode(peaky(tokens_of("it 's"), N_TOKENS)).text == "it's"
    decoder.close()


@pytest.mark.parametrize(
    ("vocabulary", "kind"),
    [(("cat", " ", ",", " ", "dog"), "char"), (("▁cat", "▁", ",", None, "▁dog"), "sentencepiece")],
    ids=["characters", "pieces"],
)
@pytest.mark.parametrize("with_lm", [False, True])
@pytest.mark.parametrize("nbest", [1, 2, 9])
def test_texts_that_are_written_the_same_are_one(arpa, vocabulary, kind, with_lm, nbest):
    """The text "cat, dog" has 0.6, half of it with a space before the comma; "cat dog" has 0.4."""
    labels = tuple(dict.fromkeys(filter(None, vocabulary)))
    cat, space, comma, gap, dog = (labels.index(label or "▁") for label in vocabulary)
    blank = len(labels)
    probs = np.full((5, blank + 1), 1e-7)
    probs[0, cat] = probs[3, gap if kind == "char" else blank] = probs[4, dog] = 1
    probs[1, [space, blank]] = 0.5
    probs[2, [comma, blank]] = [0.6, 0.4]
    contract = replace(CONTRACT, vocabulary=labels, vocabulary_kind=kind, blank=blank)
    options = BeamOptions(nbest=nbest)
    if with_lm:
        options = replace(options, lm=arpa, alpha=0.01, unk_score_offset=0.0)
    transcript = BeamDecoder(contract, options).decode(np.log(probs).astype(np.float32))
    assert transcript.text == "cat, dog"
    assert [word.text for word in transcript.words] == ["cat,", "dog"]
    assert math.exp(transcript.nbest[0].acoustic_score) == pytest.approx(0.6, abs=1e-3)
    texts = [each.text for each in transcript.nbest]
    assert len({*texts}) == len(texts) == min(nbest, 2)
    for each in transcript.nbest:
        assert [word.text for word in each.words] == each.text.split()


def test_several_spaces_before_a_mark_are_one():
    decoder = BeamDecoder(CONTRACT, BeamOptions(nbest=5))
    transcript = decoder.decode(peaky(tokens_of("it   's"), N_TOKENS))
    assert [each.text for each in transcript.nbest][:1] == [transcript.text] == ["it's"]
    assert [word.text for word in transcript.words] == ["it's"]


@pytest.mark.parametrize("vocabulary_kind", ["char", "sentencepiece"])
def test_the_best_text_is_found_as_all_texts_and_the_language_model_say(arpa, vocabulary_kind):
    """Against the definition: every alignment of four frames, summed by text, and KenLM's score."""
    contract = PIECES
    if vocabulary_kind == "char":  # "cat" and "cot" within four frames
        contract = replace(CONTRACT, vocabulary=("ca", "co", "t", "d", "og", " "), blank=6)
    exhaustive = {"beam_width": 1000, "beam_prune_logp": -1000, "token_min_logp": -100}
    options = BeamOptions(lm=arpa, **exhaustive)
    alignments = np.array(list(product(range(contract.blank + 1), repeat=4)))  # [7 ** 4, 4]
    texts, text_of_alignment = np.unique(
        [text_by_definition(alignment, contract) for alignment in alignments], return_inverse=True
    )
    language_model_scores = np.array([*scores_by_definition(texts, options)])
    decoder = BeamDecoder(contract, options)
    rng = np.random.default_rng(0)
    for _ in range(50):
        logits = rng.standard_normal((4, contract.blank + 1)) * rng.uniform(0.5, 4)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        scores = np.full(len(texts), -np.inf)
        np.logaddexp.at(scores, text_of_alignment, log_probs[np.arange(4), alignments].sum(axis=1))
        best = texts[np.argmax(scores + language_model_scores)]
        assert decoder.decode(log_probs.astype(np.float32)).text == best
    decoder.close()


def text_by_definition(alignment, contract):
    tokens = [token for token, _ in groupby(alignment) if token != contract.blank]
    text = Detokenizer(contract.vocabulary, contract.vocabulary_kind).text(tokens)
    return " ".join(text.split())


def scores_by_definition(texts, options):
    """Weighted log-probability with sentence ends, unknown words at -10 more, bonus for words."""
    known = read_words(options.lm)
    model = kenlm.Model(str(options.lm))
    for text in texts:
        words = text.split()
        log10 = model.score(text) - 10 * sum(word not in known for word in words)
        yield options.alpha * log10 * np.log(10) + options.beta * len(words)


def test_silence_stays_silent_beside_an_unlikely_word(arpa):
    contract = replace(CONTRACT, vocabulary=("cat", " "), blank=2)
    log_probs = np.log(np.array([[0.02, 0.001, 0.979]] * 3, np.float32))
    decoder = BeamDecoder(contract, BeamOptions(lm=arpa))
    assert decoder.decode(log_probs).text == ""
    decoder.close()


@pytest.mark.parametrize("space", [0.02, 0.5, 0.98])
def test_a_space_at_the_end_does_not_change_the_last_word(arpa, space):
    log_probs = np.concatenate((cot_rather_than_cat(), peaky(tokens_of(" ")[:1], N_TOKENS)))
    log_probs[-1, [0, CONTRACT.blank]] = np.log([space, 0.999 - space])
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=arpa))
    assert decoder.decode(log_probs).text == "cat"
    decoder.close()


@pytest.mark.parametrize("mark", ["|", "_", "[PAD]"])
def test_characters_that_others_take_for_marks_stay_themselves(mark):
    contract = replace(CONTRACT, vocabulary=(" ", "a", mark), blank=3)
    decoder = BeamDecoder(contract, BeamOptions())
    assert decoder.decode(peaky(np.array([1, 2, 1]), 4)).text == f"a{mark}a"
    decoder.close()


def test_a_vocabulary_without_space_is_no_trouble():
    decoder = BeamDecoder(replace(CONTRACT, vocabulary=("a", "b"), blank=2), BeamOptions())
    assert decoder.decode(peaky(np.array([0, 1]), 3)).text == "ab"
    decoder.close()


@pytest.mark.parametrize(
    ("log_probs", "text"),
    [
        (np.zeros((0, N_TOKENS), np.float32), ""),
        (peaky(np.array([CONTRACT.blank] * 3), N_TOKENS), ""),
        (np.where(peaky(tokens_of("ab"), N_TOKENS) > -1, 0, -np.inf), "ab"),
        (peaky(tokens_of("ab"), N_TOKENS) + 1e-4, "ab"),
    ],
    ids=["no frames", "blanks", "certainty", "rounding above 0"],
)
def test_edges_are_decoded(log_probs, text):
    assert PLAIN.decode(log_probs).text == text


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.exp(peaky(tokens_of("ab"), N_TOKENS)), "log-softmax"),  # rows that sum to 1
        (np.full((3, N_TOKENS), 5.0), "log-softmax"),
        (np.full((3, N_TOKENS), np.nan), "NaN"),
        (np.zeros((3, N_TOKENS - 1)), r"\[frames, 29\]"),
        (np.zeros(N_TOKENS), r"\[frames, 29\]"),
    ],
    ids=["probabilities", "logits", "NaN", "one token short", "one dimension"],
)
def test_what_are_no_log_probabilities_is_refused(values, says):
    with pytest.raises(DecoderError, match=says):
        PLAIN.decode(values.astype(np.float32))


def test_all_words_are_known_gzipped_or_not(arpa, arpa_gz):
    assert read_words(arpa) == read_words(arpa_gz) == {"cat", "cot", "dog"}


def test_a_gzipped_model_decodes_as_the_plain_one(arpa_gz):
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=arpa_gz))
    assert decoder.decode(cot_rather_than_cat()).text == "cat"
    decoder.close()


def test_loading_and_decoding_say_nothing(arpa, capfd, caplog):
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=arpa))
    decoder.decode(cot_rather_than_cat())
    decoder.close()
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_decoder_that_is_let_go_releases_the_language_model(arpa):
    model = load_language_model(arpa)
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=arpa), (model,))
    decoder.decode(cot_rather_than_cat())
    loaded = weakref.ref(model.model)
    del model, decoder
    gc.collect()
    assert loaded() is None


BAD_MODELS = {
    "empty": (b"", "empty"),
    "text": (b"just some words\n", "found no words"),
    "noise": (bytes(range(256)) * 4, "cannot read"),
    "no unigrams": (ARPA.split("\\1-grams")[0].encode(), "found no words"),
    "cut in the bigrams": (ARPA[: ARPA.index("-1.5")].encode(), "cannot load"),
    "wrong count": (ARPA.replace("1=6", "1=60").encode(), "cannot load"),
    "half a gzip": (gzip.compress(ARPA.encode())[:40], "cannot read"),
    "gzip cut in the bigrams": (gzip.compress(ARPA.encode())[:-20], "cannot load"),
}


@pytest.mark.parametrize(("data", "says"), BAD_MODELS.values(), ids=BAD_MODELS)
def test_a_bad_language_model_is_refused(data, says, tmp_path):
    path = tmp_path / "bad.arpa"
    path.write_bytes(data)
    with pytest.raises(DecoderError, match=says):
        BeamDecoder(CONTRACT, BeamOptions(lm=path))


def test_a_missing_language_model_is_refused(tmp_path):
    for path in (tmp_path / "gone.arpa", tmp_path):
        with pytest.raises(DecoderError, match="cannot read"):
            BeamDecoder(CONTRACT, BeamOptions(lm=path))


def test_without_kenlm_all_else_works():
    command = (
        "import sys; sys.modules['kenlm'] = None\n"
        "import numpy as np\n"
        "from client.decoding import BeamDecoder, BeamOptions\n"
        "from tests.client.support import CONTRACT, peaky, tokens_of\n"
        "print(BeamDecoder(CONTRACT, BeamOptions()).decode(peaky(tokens_of('cat'), 29)).text)"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, check=False)
    assert done.stdout.split() == [b"cat"], done.stderr


def test_a_language_model_without_the_native_package_is_refused(arpa, monkeypatch):
    monkeypatch.setitem(sys.modules, "nemo_ctc_search", None)
    with pytest.raises(MissingPackage, match=r"pip install \./client/native"):
        BeamDecoder(CONTRACT, BeamOptions(lm=arpa))


@pytest.mark.parametrize(
    "options",
    [
        {"hotwords": (Hotword(" "),)},
        {"hotwords": (Hotword("a b"), Hotword(" a  b"))},
        {"hotwords": (Hotword("a", -101.0),)},
        {"hotwords": (Hotword("a", float("nan")),)},
        {"hotword_weight": 1e9},
        {"hotword_weight": -1.0},
        {"lm": ()},
        {"lm": ("a.arpa",)},
        {"lm": (WeightedLm("a.arpa", -0.5),)},
        {"nbest": 0},
        {"unk_score_offset": 1.0},
        {"lm_case": "title"},
        {"unigrams": "words.txt"},
        {"alpha": -1.0},
        {"alpha": float("nan")},
        {"beta": float("inf")},
        {"beam_width": 0},
        {"beam_prune_logp": 1.0},
        {"token_min_logp": 0.0},
    ],
)
def test_options_that_make_no_sense_are_named(options):
    with pytest.raises(DecoderError, match=next(iter(options)).removesuffix("s")):
        BeamOptions(**options)


def test_one_language_model_is_the_same_with_and_without_its_weight():
    assert BeamOptions().language_models == ()
    assert BeamOptions("a.arpa").language_models == (WeightedLm("a.arpa", 1.0),)
    several = (WeightedLm("a.arpa"), WeightedLm("b.arpa", 0.3))
    assert BeamOptions(several).language_models == several
    assert list(map(str, several)) == ["a.arpa", "b.arpa=0.3"]


@pytest.mark.parametrize(("path", "weight"), [(7, 1.0), (None, 1.0), ("a.arpa", "much")])
def test_a_language_model_that_is_none_is_refused(path, weight):
    with pytest.raises(DecoderError, match="a language model is"):
        WeightedLm(path, weight)


def test_a_language_model_in_another_case_is_refused_or_written_to_in_its_case(tmp_path):
    path = tmp_path / "upper.arpa"
    path.write_text(re.sub(r"\b(cat|cot|dog)\b", lambda word: word[0].upper(), ARPA))
    with pytest.raises(DecoderError, match="only the case differs") as raised:
        BeamDecoder(CONTRACT, BeamOptions(lm=path))
    assert "--lm-case, `nemo-ctc lm convert`, --case" in raised.value.text(FLAGS)
    decoder = BeamDecoder(CONTRACT, BeamOptions(lm=path, lm_case="upper"))
    assert decoder.decode(cot_rather_than_cat()).text == "cat"
