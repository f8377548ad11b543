"""Loading: one model in whatever file it comes is the same, and a bad file is never a crash."""

import gzip
import random
import re
import subprocess
import sys

import pytest

from client.errors import DecoderError, MissingPackage
from client.language_models import load_language_model, read_words
from client.language_models.binary import MAGIC, read_header
from client.language_models.convert import BinaryOptions
from tests.client.language_models.support import (
    TYPES,
    arpa_of,
    build,
    large_arpa,
)
from tests.client.support import ARPA

SENTENCES = ["cat", "cat cot", "cot cat dog", "unheard cat", ""]

# Loads each model named, in a process of its own; prints what became of it: the words, so many, and
# the score of a sentence; REFUSED; or the signal that ended it (14: it hung).
PROBE = """
import os, signal, sys
from client.errors import DecoderError
from client.language_models import load_language_model
sentence, unigrams, *paths = sys.argv[1:]
for path in paths:
    if (child := os.fork()) == 0:
        signal.alarm(20)
        try:
            model = load_language_model(path, unigrams or None)
            print(len(model.words), f"{model.score(sentence):.4f}", flush=True)
        except DecoderError as error:
            print("REFUSED" if path in str(error) else error, flush=True)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        print("ended with", status, flush=True)
"""


def probe(paths, sentence, unigrams=""):
    """What becomes of loading each of ``paths``; see ``PROBE``."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, sentence, str(unigrams), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A large model as ARPA and each kind of binary, and a few of its sentences."""
    folder = tmp_path_factory.mktemp("large")
    text, sentences = large_arpa()
    (folder / "arpa").write_text(text)
    for name, options in TYPES.items():
        build(folder / "arpa", folder / name, options=options)
    return folder, sentences


@pytest.fixture
def arpa(tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    return path


@pytest.mark.parametrize("options", TYPES.values(), ids=TYPES)
def test_a_binary_has_the_words_of_its_arpa_file_and_scores_alike(options, arpa):
    binary = arpa.with_name("model.binary")
    build(arpa, binary, options=options)
    of_arpa, of_binary = load_language_model(arpa), load_language_model(binary)
    assert of_binary.words == of_arpa.words == {"cat", "cot", "dog"}
    for sentence in SENTENCES:
        score = of_arpa.score(sentence)
        assert of_binary.score(sentence) == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("name", TYPES)
def test_a_large_binary_agrees_with_its_arpa_file(name, large):
    folder, sentences = large
    of_arpa, of_binary = load_language_model(folder / "arpa"), load_language_model(folder / name)
    assert of_binary.words == of_arpa.words
    assert len(of_binary.words) > 2000
    rounding = 0.5 if name == "quantised trie" else 1e-3
    for sentence in sentences:
        score = of_arpa.score(sentence)
        assert of_binary.score(sentence) == pytest.approx(score, abs=rounding)


def test_the_header_says_which_structure_and_how_many(large):
    folder, _ = large
    headers = {name: read_header(folder / name) for name in TYPES}
    assert {name: header.structure for name, header in headers.items()} == {
        name: name for name in TYPES
    }
    lines = (folder / "arpa").read_text().splitlines()
    counts = tuple(int(line.split("=")[1]) for line in lines[1:4])
    assert {header.counts for header in headers.values()} == {counts}
    assert {header.n_words for header in headers.values()} == {counts[0]}


@pytest.mark.parametrize("options", TYPES.values(), ids=TYPES)
def test_a_model_without_unk_gets_one_that_is_no_word(options, tmp_path):
    (tmp_path / "arpa").write_text(ARPA.replace("-1.0\t<unk>\n", "").replace("1=6", "1=5"))
    build(tmp_path / "arpa", tmp_path / "binary", options=options)
    for file in ("arpa", "binary"):
        assert read_words(tmp_path / file) == {"cat", "cot", "dog"}
    assert load_language_model(tmp_path / "binary").score("cat") == pytest.approx(-0.2)


@pytest.mark.parametrize("kind", ["arpa", "gzip", "binary"])
@pytest.mark.parametrize("name", ["model", "model.arpa", "model.arpa.gz", "model.binary", "a b.é"])
def test_a_model_is_told_by_content_whatever_its_name(kind, name, tmp_path):
    (tmp_path / "source").write_text(ARPA)
    path = tmp_path / name
    if kind == "binary":
        build(tmp_path / "source", path)
    else:
        path.write_bytes(gzip.compress(ARPA.encode()) if kind == "gzip" else ARPA.encode())
    model = load_language_model(str(path))
    assert model.words == {"cat", "cot", "dog"}
    assert model.score("cat") == pytest.approx(-0.2)


def test_words_that_end_as_unk_does_are_words(tmp_path):
    words = ["a<unk>", "<unk>b", "<<unk>", "<UNK>x", "unk", "z<unk>"]
    (tmp_path / "arpa").write_text(arpa_of(words))
    for options in TYPES.values():
        build(tmp_path / "arpa", tmp_path / "binary", options=options)
        assert read_words(tmp_path / "binary") == set(words)


@pytest.mark.parametrize("name", ["arpa", "binary"])
def test_a_list_of_words_takes_the_place_of_the_models(name, arpa, tmp_path):
    path = arpa
    if name == "binary":
        path = tmp_path / "binary"
        build(arpa, path, options=BinaryOptions("probing"))
    listed = tmp_path / "words.txt"
    listed.write_bytes("\ufeffcat\r\n\r\n  dog \nbird\n<unk>\n<s>\ncat".encode())
    assert load_language_model(path, listed).words == {"cat", "dog"}
    listed.write_bytes(gzip.compress(b"cot\n"))
    assert load_language_model(path, str(listed)).words == {"cot"}


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        (b"CAT\nDOG\n", "none of its 2 words ('CAT', 'DOG')"),
        (b"<s>\n</s>\n<unk>\n", "none of its 3 words"),
        (b"", "none of its 0 words (none)"),
        (b"caf\xe9\n", "cannot read it"),
        (None, "cannot read it: No such file"),
    ],
    ids=["other case", "marks", "empty", "Latin-1", "missing"],
)
def test_a_list_without_a_known_word_is_an_error(listed, says, arpa, tmp_path):
    path = tmp_path / "words.txt"
    if listed is not None:
        path.write_bytes(listed)
    with pytest.raises(DecoderError, match=re.escape(says)) as raised:
        load_language_model(arpa, path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("with_list", [False, True], ids=["its words", "a list of words"])
def test_a_binary_cut_anywhere_is_refused_or_loads_fully_right(name, with_list, large, tmp_path):
    folder, sentences = large
    content = (folder / name).read_bytes()
    listed = tmp_path / "listed"
    listed.write_text("\n".join(sentences[0].split()))
    lengths = [len(content) * n // 20 for n in range(20)]
    # Within the magic, the test values, the parameters and the counts; and one byte short.
    lengths += [1, 50, 90, 100, 112, 130, 140, len(content) - 1, len(content)]
    paths = []
    for length in lengths:
        paths.append(tmp_path / f"{length}")
        paths[-1].write_bytes(content[:length])
    *cut, whole = probe(paths, sentences[0], listed if with_list else "")
    assert len(cut) == len(lengths) - 1
    assert whole.startswith("3 " if with_list else f"{len(read_words(folder / name))} ")
    if with_list:  # then the words at the end are of no use, and may be missing
        assert set(cut) <= {"REFUSED", whole}
        assert cut.count("REFUSED") >= 18
    else:
        assert set(cut) == {"REFUSED"}


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("with_list", [False, True], ids=["its words", "a list of words"])
def test_a_binary_whose_header_is_noise_is_no_crash(name, with_list, large, tmp_path):
    """Bytes after the magic, after the test values, and single ones of the parameters."""
    folder, sentences = large
    content = (folder / name).read_bytes()
    rng = random.Random(1)  # noqa: S311 -- the same at every run, not a secret
    noisy = []
    for start in (len(MAGIC), len(MAGIC) + 16, 88, 108):
        noisy += [content[:start] + rng.randbytes(n) for n in (4, 64, 10_000)]
        noisy += [content[:start] + bytes(10_000)]
        noisy += [content[:start] + rng.randbytes(48) + content[start + 48 :]]
    for place in range(88, 144):
        for value in (0, 7, 255):
            noisy.append(content[:place] + bytes([value]) + content[place + 1 :])
    paths = []
    for number, data in enumerate(noisy):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(data)
    listed = tmp_path / "listed"
    listed.write_text("\n".join(sentences[0].split()))
    found = probe(paths, sentences[0], listed if with_list else "")
    assert len(found) == len(noisy)
    assert not [(number, line) for number, line in enumerate(found) if line.startswith("ended")]


@pytest.mark.parametrize("rest", [b"", b"\n", bytes(200), b"\xff" * 5000])
def test_the_magic_alone_makes_no_model(rest, tmp_path):
    path = tmp_path / "model.binary"
    path.write_bytes(MAGIC + rest)
    with pytest.raises(DecoderError, match="is no whole KenLM binary"):
        load_language_model(path)


def test_a_binary_without_words_needs_a_list(arpa, tmp_path):
    path = tmp_path / "model.binary"
    build(arpa, path)
    content = bytearray(path.read_bytes())
    content = content[: content.index(b"<unk>\0")]
    content[100] = 0  # as build_binary -v writes it
    path.write_bytes(content)
    with pytest.raises(DecoderError, match=r"without its words .* pass a list"):
        load_language_model(path)
    (tmp_path / "words").write_text("cat\n")
    assert load_language_model(path, tmp_path / "words").words == {"cat"}


def test_an_empty_file_a_folder_and_a_missing_one_are_named(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    for name, says in [("empty", "is empty"), ("folder", "Is a directory"), ("gone", "No such")]:
        with pytest.raises(DecoderError, match=says) as raised:
            load_language_model(tmp_path / name)
        assert str(tmp_path / name) in str(raised.value)


def test_without_the_native_package_it_is_named(arpa, monkeypatch):
    monkeypatch.setitem(sys.modules, "nemo_ctc_search", None)
    with pytest.raises(MissingPackage, match=r"pip install \./client/native"):
        load_language_model(arpa)
    assert read_words(arpa) == {"cat", "cot", "dog"}
