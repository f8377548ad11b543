"""Training: text in, written as the acoustic model writes; a model that never saw the held-out."""

import gzip
import json
import math
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.__main__ import main
from client.errors import DecoderError
from client.language_models import load_language_model, read_words
from client.language_models.arpa import read_counts, read_lines
from client.language_models.convert import BinaryOptions
from client.language_models.spelling import Spelling
from client.language_models.train import TrainingOptions, train
from tests.client.language_models.support import CHARACTERS
from tests.client.support import CONTRACT, PIECES, scripted_server

TEXT = "the cat sat\nthe cat ran\nthe dog sat\n"
COUNTS = (8, 8, 8)  # the cat sat ran dog <s> </s> <unk>; <s> the, the cat, …; <s> the cat, …
ALL = TrainingOptions(held_out=0)
LOWER = Spelling.of(CHARACTERS)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with a text of known n-grams."""
    (tmp_path / "text").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments):
    return main(["lm", "train", *arguments, "--output", "lm", "--characters", CHARACTERS])


def sentences_with_their_own_words(n=200, copies=3):
    """Texts each of which holds a word that no other does, several times over, shuffled."""
    words = ["".join(letters) for letters in zip(*[iter(letters_of(n * 5))] * 5, strict=True)]
    sentences = [f"the {word} sat" for word in words] * copies
    random.Random(0).shuffle(sentences)  # noqa: S311 -- the same at every run, not a secret
    return words, sentences


def letters_of(n):
    """Letters that make words of five that are all different."""
    for number in range(n // 5):
        yield from (chr(ord("a") + number // 26**place % 26) for place in range(5))


def words_in_training(trained):
    return set(trained.files[2].read_text().split())


def test_the_command_writes_a_model_twice_and_its_words(folder, capfd):
    assert command("text", "--held-out", "0") == 0
    assert {path.name for path in folder.iterdir()} == {
        "text", "lm.arpa.gz", "lm.binary", "lm.words.txt",
    }  # fmt: skip
    assert (folder / "lm.words.txt").read_text() == "cat\ndog\nran\nsat\nthe\n"
    for model in ("lm.arpa.gz", "lm.binary"):
        assert read_words(folder / model) == {"cat", "dog", "ran", "sat", "the"}
    with (folder / "lm.arpa.gz").open("rb") as file:
        assert read_counts(read_lines(file, "lm", "ARPA")) == COUNTS
    out, err = capfd.readouterr()
    assert err == ""
    for fact in (r"trained on +│ 3 sentences", r"3-grams +│ 8", r"lm\.binary", "left out +│ none"):
        assert re.search(fact, out)


def test_both_files_are_one_model_that_prefers_what_it_saw(folder):
    train(TEXT.splitlines(), folder / "lm", LOWER, ALL)
    of_arpa, of_binary = (load_language_model(f"lm{kind}") for kind in (".arpa.gz", ".binary"))
    for sentence in ("the cat sat", "the dog ran", "sat the", "a bird"):
        assert of_binary.score(sentence) == pytest.approx(of_arpa.score(sentence), abs=1e-4)
    assert of_binary.score("the cat sat") > of_binary.score("cat the sat")
    assert of_binary.score("the cat sat") > of_binary.score("the dog ran")


def test_a_prefix_that_is_a_folder_takes_files_called_lm(folder):
    (folder / "models").mkdir()
    arguments = ["text", "--characters", CHARACTERS, "--held-out", "0"]
    assert main(["lm", "train", *arguments, "--output", "models"]) == 0
    assert (folder / "models" / "lm.binary").exists()


def test_the_same_text_makes_the_same_bytes(folder):
    for name in ("a", "b"):
        train(TEXT.splitlines(), folder / name, LOWER, ALL)
    for kind in (".arpa.gz", ".binary", ".words.txt"):
        assert (folder / f"a{kind}").read_bytes() == (folder / f"b{kind}").read_bytes()


@pytest.mark.parametrize("order", [2, 4, 6])
def test_the_order_is_that_of_the_model_even_beyond_the_longest_sentence(order, folder):
    trained = train(["cat", "the dog"], folder / "lm", LOWER, TrainingOptions(order, held_out=0))
    assert len(trained.header.counts) == order
    model = load_language_model("lm.binary")
    assert model.model.order == order
    assert math.isfinite(model.score("the dog the dog the dog the dog"))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.9])
def test_held_out_sentences_and_all_their_copies_are_not_in_the_model(share, folder):
    own_words, sentences = sentences_with_their_own_words()
    trained = train(sentences, folder / "lm", LOWER, TrainingOptions(held_out=share))
    known = words_in_training(trained)
    unseen = set(own_words) - known
    assert trained.held_out.sentences == trained.held_out.unknown == 3 * len(unseen)
    assert trained.held_out.words == 9 * len(unseen)
    assert trained.trained_sentences == 3 * len(known - {"the", "sat"})
    assert trained.trained_sentences + trained.held_out.sentences == len(sentences)
    assert len(unseen) / len(own_words) == pytest.approx(share, abs=0.08)
    assert read_words("lm.arpa.gz") == known


def test_copies_that_differ_in_what_is_not_written_are_held_out_too(folder):
    own_words, sentences = sentences_with_their_own_words(copies=1)
    copies = [sentence.upper() + "!" for sentence in sentences]
    copies += [sentence.replace(" ", ",  ").title() for sentence in sentences]
    trained = train(sentences + copies, folder / "lm", LOWER, TrainingOptions(held_out=0.2))
    unseen = set(own_words) - words_in_training(trained)
    assert unseen
    assert trained.held_out.sentences == trained.held_out.unknown == 3 * len(unseen)


def test_held_out_0_keeps_all_and_measures_nothing(folder, capsys):
    own_words, sentences = sentences_with_their_own_words()
    (folder / "many").write_text("\n".join(sentences))
    assert command("many", "--held-out", "0") == 0
    assert set((folder / "lm.words.txt").read_text().split()) == {*own_words, "the", "sat"}
    out = capsys.readouterr().out
    assert "the model has every sentence" in out
    assert "perplexity" not in out


def test_a_file_of_held_out_sentences_is_what_is_measured_and_not_trained_on(folder, capsys):
    (folder / "dev").write_text("The dog sat!\n\nthe bird ran\n3 birds\n")
    assert command("text", "--held-out", "dev") == 0
    assert (folder / "lm.words.txt").read_text() == "cat\nran\nsat\nthe\n"
    out = capsys.readouterr().out
    assert re.search(r"trained on +│ 2 sentences", out)
    assert re.search(r"unknown words +│ 2 \(33\.33%\)", out)
    assert re.search(r"held out +│ 2 sentences, which are not in the model", out)


def test_held_out_figures_are_those_of_the_model_that_is_written(folder):
    (folder / "dev").write_text("the dog sat\nthe bird\n")
    options = TrainingOptions(held_out=folder / "dev")
    trained = train(TEXT.splitlines(), folder / "lm", LOWER, options)
    model = load_language_model("lm.arpa.gz")
    log10 = model.score("the dog sat") + model.score("the bird")
    assert trained.held_out.perplexity == pytest.approx(10 ** (-log10 / 7), rel=1e-4)


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "cannot read it: No such file"), ("", "holds no sentence"), ("1 2", "holds no sent")],
    ids=["missing", "empty", "unwritable"],
)
def test_a_held_out_file_without_sentences_is_an_error(text, says, folder, capsys):
    if text is not None:
        (folder / "dev").write_text(text)
    assert command("text", "--held-out", "dev") == 1
    err = capsys.readouterr().err
    assert err.startswith("error: dev: ")
    assert says in err


def test_text_manifests_and_gzipped_files_go_together(folder, capsys):
    with (folder / "m.jsonl").open("w") as manifest:
        for entry in ({"audio_filepath": "a.wav", "text": "A fox."}, {"text": "an owl"}):
            manifest.write(json.dumps(entry) + "\n")
    (folder / "m.json").write_text(json.dumps({"audio_filepath": "b", "text": "a hen"}) + "\n\n")
    (folder / "packed.gz").write_bytes(gzip.compress(b"a cow\n\n   \nan ox"))
    (folder / "windows.txt").write_bytes("\ufeffa bee\r\nan ant\r\n".encode())
    files = ["text", "m.jsonl", "packed.gz", "m.json", "windows.txt"]
    assert command(*files, "--held-out", "0") == 0
    assert re.search(r"trained on +│ 10 sentences", capsys.readouterr().out)
    words = set((folder / "lm.words.txt").read_text().split())
    assert words == {*TEXT.split(), *"a fox an owl hen cow ox bee ant".split()}


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("gone.txt", None, "gone.txt: cannot read it: No such file"),
        ("gone.jsonl", None, "gone.jsonl: cannot read the manifest"),
        ("bad.jsonl", b'{"text": "a"}\n{"text": 3}\n', "bad.jsonl line 2"),
        ("bad.jsonl", b"text\n", "bad.jsonl line 1: is not JSON"),
        ("bad.jsonl", b'{"audio_filepath": "a.wav"}\n', "bad.jsonl line 1 lacks text"),
        ("bad.txt", b"caf\xe9\n", "bad.txt: cannot read it"),
        ("bad.gz", gzip.compress(b"a cat\n" * 99, mtime=0)[:-9], "bad.gz: cannot read it"),
    ],
)
def test_what_cannot_be_read_leaves_the_old_files(name, data, says, folder, capfd):
    if data is not None:
        (folder / name).write_bytes(data)
    (folder / "lm.binary").write_text("old")
    before = sorted(folder.iterdir())
    assert command("text", name) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert says in err
    assert len(err.splitlines()) == 1
    assert sorted(folder.iterdir()) == before
    assert (folder / "lm.binary").read_text() == "old"


@pytest.mark.parametrize("text", ["", "\n \n", "1984\n", "<s> a\n", "é è\n"])
def test_nothing_left_to_train_on_is_an_error(text, folder, capfd):
    (folder / "text").write_text(text)
    assert command("text") == 1
    err = capfd.readouterr().err
    assert err.startswith("error: there is nothing to train on")
    assert [path.name for path in folder.iterdir()] == ["text"]


def test_what_cannot_be_written_is_left_out_and_counted(folder, capsys):
    (folder / "text").write_text(TEXT + "in 1984 or 85\nthe café\nthe <s> mark\n")
    assert command("text", "--held-out", "0") == 0
    out = capsys.readouterr().out
    assert "3 sentences for 4 words" in out
    assert re.search(r"'8' \(2\)", out)
    assert "'é' (1)" in out
    assert (folder / "lm.words.txt").read_text() == "cat\ndog\nran\nsat\nthe\n"


@pytest.mark.parametrize(
    ("characters", "text", "written"),
    [
        (CHARACTERS, "The Cat’s  “hat”—it´s ", "the cat's hat it's"),  # noqa: RUF001
        (CHARACTERS.upper(), "the cat`s", "THE CAT'S"),
        (CHARACTERS + CHARACTERS.upper(), "The Cat, sat.", "The Cat sat"),
        (CHARACTERS + ",.", "The cat, sat.", "the cat, sat."),
        (CHARACTERS + "-", "ice-cream", "ice-cream"),
        (CHARACTERS, "ice-cream (cold)", "ice cream cold"),
        ("abcdefghijklmnopqrstuvwxyz’", "it's", "it’s"),  # noqa: RUF001
        ("abcdefghijklmnopqrstuvwxyz", "it's", "its"),
        ("abcdefé", "CAFE\N{COMBINING ACUTE ACCENT}", "café"),
        ("abcdefe\N{COMBINING ACUTE ACCENT}", "CAFÉ", "cafe\N{COMBINING ACUTE ACCENT}"),
        ("абв", "А Б В", "а б в"),  # noqa: RUF001
        ("的一是", "一的是", "一的是"),
        (CHARACTERS, "\ttwo\N{NO-BREAK SPACE}words\n", "two words"),
        (CHARACTERS, " … !? ", ""),
    ],
)
def test_text_is_written_as_the_acoustic_model_writes(characters, text, written):
    spelling = Spelling.of(characters)
    assert spelling.write(text) == written
    assert not spelling.unwritable(written)


@pytest.mark.parametrize(
    ("word", "strange"),
    [("cat", set()), ("c4t2", {"4", "2"}), ("é", {"é"}), ("<s>", {"<", ">"})],
)
def test_unwritable_characters_are_named(word, strange):
    assert LOWER.unwritable(word) == strange


def test_marks_are_no_words_even_where_their_characters_can_be_written():
    spelling = Spelling.of("<>/sunk")
    assert spelling.unwritable("sun <s>") == {"<s>"}
    assert not spelling.unwritable("s <u>")


@given(st.text())
def test_what_is_written_is_written_the_same_again(text):
    written = LOWER.write(text)
    assert LOWER.write(written) == written
    assert written == " ".join(written.split())


def test_the_case_is_the_one_that_all_letters_are_in():
    cases = {"abc": "lower", "ABC": "upper", "aB": "keep", "的一": "keep", "abc'": "lower"}
    assert {text: Spelling.of(text).case for text in cases} == cases
    assert Spelling.of("abc", "upper").case == "upper"


def test_characters_of_a_served_model_are_those_of_its_tokens():
    assert Spelling.of_contract(CONTRACT) == LOWER
    of_pieces = Spelling.of_contract(PIECES)  # not of <unk>, nor ▁
    assert of_pieces == Spelling(frozenset("caots"), "lower")
    assert of_pieces.unwritable("cat sun") == {"u", "n"}


def test_a_spelling_without_characters_or_of_no_case_is_refused():
    with pytest.raises(DecoderError, match="no characters"):
        Spelling.of(" ")
    with pytest.raises(DecoderError, match="title"):
        Spelling.of("a", "title")


def test_the_served_models_characters_decide(folder):
    with scripted_server(contract_json=PIECES.to_json()) as url:
        (folder / "text").write_text("CATS act\na dog\n")
        arguments = ["text", "--output", "lm", "--held-out", "0", "--model", "demo", "--url", url]
        assert main(["lm", "train", *arguments]) == 0
    assert (folder / "lm.words.txt").read_text() == "act\ncats\n"


def test_pruning_leaves_rare_ngrams_out_and_keeps_words(folder):
    rng = random.Random(0)  # noqa: S311 -- the same at every run, not a secret
    words = TEXT.split() + "a bird on mat in hat".split()
    sentences = [" ".join(rng.choices(words, k=6)) for _ in range(300)]
    counted = Counter()
    for sentence in sentences:
        padded = ["<s>", *sentence.split(), "</s>"]
        counted.update(zip(padded, padded[1:], padded[2:], strict=False))
    whole = train(sentences, folder / "whole", LOWER, ALL)
    options = TrainingOptions(prune=(0, 0, 1), held_out=0)
    pruned = train(sentences, folder / "pruned", LOWER, options)
    assert whole.header.counts[2] == len(counted)
    assert pruned.header.counts[:2] == whole.header.counts[:2]
    assert pruned.header.counts[2] == sum(count > 1 for count in counted.values())
    assert words_in_training(pruned) == words_in_training(whole)


def test_a_vocabulary_that_pruning_empties_is_an_error_in_one_line(folder, capfd):
    assert command("text", "--held-out", "0", "--prune", "9") == 1
    err = capfd.readouterr().err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert [path.name for path in folder.iterdir()] == ["text"]


@pytest.mark.parametrize(
    ("options", "structure"),
    [
        (["--type", "probing"], "probing"),
        (["--type", "trie"], "trie"),
        (["--quantize", "8", "--memory", "100M"], "quantised trie"),
    ],
)
def test_the_binary_is_of_the_type_asked_for(options, structure, folder, capsys):
    assert command("text", "--held-out", "0", *options) == 0
    capsys.readouterr()
    assert main(["lm", "info", str(folder / "lm.binary"), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["structure"] == f"KenLM binary, {structure}"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"order": 1}, "order 1"),
        ({"order": 7}, "order 7"),
        ({"prune": (0, 2, 1)}, "prune (0, 2, 1)"),
        ({"prune": (0, 0, 0, 1)}, "prune (0, 0, 0, 1)"),
        ({"prune": (-1,)}, "prune (-1,)"),
        ({"held_out": 1.0}, "held_out 1.0"),
        ({"held_out": -0.1}, "held_out -0.1"),
        ({"held_out": math.nan}, "held_out nan"),
    ],
)
def test_options_that_make_no_sense_are_named(options, says):
    with pytest.raises(DecoderError, match=re.escape(says)):
        TrainingOptions(**options)


@pytest.mark.parametrize(
    "arguments",
    [
        ["text", "--output", "lm"],
        ["text", "--characters", "abc"],
        ["--output", "lm", "--characters", "abc"],
        ["text", "--output", "lm", "--characters", "abc", "--model", "demo"],
        ["text", "--output", "nowhere/lm", "--characters", "abc"],
        ["text", "--output", "nowhere/", "--characters", "abc"],
        ["text", "--output", "lm", "--characters", "abc", "--prune", "some"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["lm", "train", *arguments])
    assert exit_.value.code == 2
    assert "hint: nemo-ctc lm" in capsys.readouterr().err


def test_without_kenlms_tools_the_target_that_builds_them_is_named(folder, monkeypatch, capsys):
    monkeypatch.setenv("KENLM_BIN", str(folder))
    assert command("text") == 1
    err = capsys.readouterr().err
    assert "lmplz" in err
    assert "make kenlm-tools" in err
    assert [path.name for path in folder.iterdir()] == ["text"]


def test_memory_that_is_too_little_is_told_by_kenlm(folder):
    options = TrainingOptions(held_out=0, binary=BinaryOptions(memory="1K"))
    with pytest.raises(DecoderError, match=r"lmplz: failed: .*memory"):
        train(TEXT.splitlines(), folder / "lm", LOWER, options)
    assert sorted(Path().iterdir()) == [Path("text")]
