"""ARPA files in another case: word by word, whatever the script, and never held as a whole."""

# ruff: noqa: RUF001 -- letters that look alike are what is tested

import gzip
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.errors import DecoderError
from client.language_models.arpa import in_case, read_counts, read_lines, unigrams
from client.language_models.cases import CASES
from tests.client.support import ARPA

# Letters that lower() and upper() do not bring back, change in number, or change by position.
AWKWARD = "aAiIıİsSſßẞσςΣǆǅǄﬁKk\u00a0'"
words_of_scripts = st.text(
    st.sampled_from(AWKWARD) | st.characters(codec="utf-8", exclude_categories=("C", "Z")),
    min_size=1,
    max_size=6,
)


def bigrams(words):
    """The lines of a section of 2-grams, each word after each."""
    yield "\\2-grams:\n"
    yield from (f"-1.5\t{first} {second}\n" for first in words for second in words)


@given(st.lists(words_of_scripts, min_size=1, max_size=4), st.sampled_from(sorted(CASES)))
def test_words_change_as_each_would_alone(words, case):
    changed = [line.split("\t")[1] for line in [*in_case(bigrams(words), "", case)][1:]]
    alone = [CASES[case](word) for word in words]
    marks = ("<s>", "</s>", "<unk>")
    if not any(word.lower() in marks for word in alone):
        assert changed == [f"{first} {second}\n" for first in alone for second in alone]


@pytest.mark.parametrize("case", CASES)
def test_marks_take_kenlms_names(case):
    lines = ["\\3-grams:\n", "-1\t<S> <Unk> </S>\n"]
    assert list(in_case(lines, "", case))[1] == "-1\t<s> <unk> </s>\n"


def test_numbers_and_headings_stay_as_they_are():
    text = ARPA.replace("-0.5", "-5E-1").replace("-0.9", "-9e-1")
    lines = text.splitlines(keepends=True)
    upper = "".join(in_case(lines, "", "upper"))
    expected = text
    for word in ("cat", "cot", "dog"):
        expected = expected.replace(word, word.upper())
    assert upper == expected


def test_lines_may_end_as_on_windows_and_fields_stand_apart_by_spaces():
    lines = ["\\data\\\r\n", "ngram 1=1\r\n", "\r\n", "\\1-grams:\r\n", "-1  cat\t-0.5\r\n"]
    assert list(in_case(lines, "", "keep"))[-1] == "-1\tcat\t-0.5\n"
    assert read_counts(lines) == (1,)
    assert list(unigrams(lines)) == ["cat"]


@pytest.mark.parametrize(
    ("words", "case", "says"),
    [
        (("Cat", "cat"), "lower", "'cat'.*keep the case"),
        (("ı", "i"), "upper", "'i'.*keep the case"),
        (("ß", "ss"), "upper", "'ss'.*keep the case"),
        (("cat", "cat"), "keep", "twice.*'cat'"),
        (("<unk>", "<UNK>"), "keep", "twice.*'<UNK>'"),
    ],
)
def test_words_that_would_be_one_are_refused(words, case, says):
    lines = ["\\1-grams:\n", *(f"-1\t{word}\n" for word in words), "\\end\\\n"]
    with pytest.raises(DecoderError, match=says):
        list(in_case(lines, "m.arpa", case))


@pytest.mark.parametrize("line", ["-1\n", "-1\tcat\t-0.5\tmore\n", "-1 cat sat down\n"])
def test_a_malformed_line_is_named(line):
    with pytest.raises(DecoderError, match=r"m\.arpa line 2: .* fields"):
        list(in_case(["\\1-grams:\n", line], "m.arpa", "keep"))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_n_grams_pass_through_without_being_kept(pack):
    words = [f"w{number}" for number in range(300)]
    data = "".join(bigrams(words)).encode()
    stream = io.BytesIO(pack(data))
    tracemalloc.start()
    passed = sum(map(len, in_case(read_lines(stream, "", ""), "", "upper")))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert passed == len(data)
    assert peak_bytes < passed / 4
