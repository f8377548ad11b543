"""KenLM in the native package: it scores as KenLM does, and a damaged file never ends the process.

``DAMAGED_MODELS`` in the environment is how many damaged files of each kind are tried.
"""

import gzip
import json
import os
import struct
import subprocess
import sys
from functools import cache

import kenlm
import nemo_ctc_search
import pytest

from tests.client.language_models import damage
from tests.client.language_models.support import FILES, TYPES, VOCABULARY, build, every_file
from tests.client.support import ARPA

DAMAGED_MODELS = int(os.environ.get("DAMAGED_MODELS", "200"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The files of a model of an order, each made once."""
    return cache(lambda order: every_file(tmp_path_factory.mktemp("models"), order))


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("name", FILES)
def test_scores_are_those_of_kenlms_own_module(name, order, files):
    path = files(order)[name]
    model, oracle = nemo_ctc_search.LanguageModel(path), kenlm.Model(str(path))
    assert model.order == oracle.order == order
    ranks = range(len(VOCABULARY))
    for first in ranks:
        words = [VOCABULARY[first * step % len(ranks)] for step in (1, 1, 2, 3, 5, 0, 0)]
        words[first % 7] = "unheard"
        expected = [(log10, lacks) for log10, _, lacks in oracle.full_scores(" ".join(words))]
        found = model.score_sentence(words)
        assert [lacks for _, lacks in found] == [lacks for _, lacks in expected]
        assert [log10 for log10, _ in found] == pytest.approx(
            [log10 for log10, _ in expected], abs=1e-5
        )


def test_a_sentence_without_words_has_an_end(files):
    path = files(3)["trie"]
    [(log10, lacks)] = nemo_ctc_search.LanguageModel(path).score_sentence([])
    assert log10 == pytest.approx(kenlm.Model(str(path)).score(""), abs=1e-5)
    assert not lacks


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_an_error_or_a_model_never_a_crash(name, order, files):
    """See ``damage`` for the damage; the last number before a failure makes it again."""
    command = [sys.executable, "-m", damage.__name__, str(files(order)[name])]
    done = subprocess.run(
        [*command, "0", str(DAMAGED_MODELS)], capture_output=True, text=True, check=False
    )
    *numbers, became = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, ""), became
    assert int(numbers[-1]) == DAMAGED_MODELS - 1
    became = json.loads(became)
    assert became["loaded"] + became["refused"] == DAMAGED_MODELS
    assert min(became["loaded"], became["refused"]) > 0
    assert became["peak_bytes"] < 256e6


MAGIC = b"mmap lm http://kheafield.com/code"


@pytest.mark.parametrize(
    "content",
    [
        MAGIC,
        MAGIC + b" format version " + b"5" * 100_000,
        MAGIC + b" format version " + b" " * 100_000,
        MAGIC + b" incomplete\n" + bytes(100_000),
        gzip.compress(b"") * 200_000,
        gzip.compress(b"\\data\\\nngram 1=1000000000000000\nngram 2=1\n\n\\1-grams:\n-1\ta\n"),
        b"\\data\\\nngram 1=1000000000000000\nngram 2=1\n\n\\1-grams:\n-1\ta\n",
        b"\\data\\\nngram 1=1\nngram 2=18446744073709551615\n\n\\1-grams:\n-1\ta\n",
        b"\\data\\\n\n\\end\\\n",
        b"x" * 3_000_000,
        b"",
    ],
    ids=[
        *(
            "magic",
            "long version",
            "blank version",
            "unfinished",
            "many gzips",
            "huge count in gzip",
        ),
        *("huge count", "huge bigrams", "no counts", "noise", "empty"),
    ],
)
def test_what_only_begins_like_a_model_is_refused_in_few_words(content, tmp_path, capfd):
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(RuntimeError) as raised:
        nemo_ctc_search.LanguageModel(path)
    assert 0 < len(str(raised.value)) < 500
    assert capfd.readouterr() == ("", "")


def test_a_model_may_be_many_times_as_large_as_its_gzipped_file(tmp_path):
    lines = "".join(f"-1\tword{n}\n" for n in range(20_000))
    text = ARPA.replace("ngram 1=6", "ngram 1=20006").replace("-2.0\tdog\n", f"-2.0\tdog\n{lines}")
    path = tmp_path / "model"
    path.write_bytes(gzip.compress(text.encode()))
    assert path.stat().st_size < 4 * 20_000
    assert nemo_ctc_search.LanguageModel(path).knows("word19999")


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "gone", tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(RuntimeError):
            nemo_ctc_search.LanguageModel(path)


def test_a_models_name_need_not_be_text(files, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.binary")
    path.symlink_to(files(2)["trie"])
    assert nemo_ctc_search.LanguageModel(path).order == 2


@pytest.mark.parametrize("bits", ["7fc00000", "7f800000", "ff800000", "ff7fffff", "7f7fffff"])
@pytest.mark.parametrize("name", ["probing", "trie"])
def test_scores_are_finite_whatever_the_file_holds(name, bits, tmp_path):
    """NaN, the infinities and the largest floats for the probability of dog and all back-offs."""
    (tmp_path / "arpa").write_text(ARPA.replace("-2.0", "-2.1"))
    path = tmp_path / "binary"
    build(tmp_path / "arpa", path, options=TYPES[name])
    data = path.read_bytes()
    for weight in (-2.1, -0.3):
        assert struct.pack("f", weight) in data
        data = data.replace(struct.pack("f", weight), bytes.fromhex(bits)[::-1])
    path.write_bytes(data)
    words = ["dog", "cat", "dog", "cot", "cot"]
    scores = nemo_ctc_search.LanguageModel(path).score_sentence(words)
    assert all(-1000 <= log10 <= 1000 for log10, _ in scores)


def test_a_probability_of_0_is_a_very_small_one(tmp_path):
    (tmp_path / "arpa").write_text(ARPA.replace("-2.0\tdog", "-inf\tdog"))
    model = nemo_ctc_search.LanguageModel(tmp_path / "arpa")
    assert model.score_sentence(["dog"])[0] == (-1000, False)
