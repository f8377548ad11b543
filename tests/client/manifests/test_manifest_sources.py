"""Sources of manifests: what each layout gives, and what is left out of it with which reason."""

import pytest

from client.commands.flags import FLAGS
from client.errors import ManifestError
from client.manifests.sources import (
    Fault,
    Measured,
    Problem,
    Source,
    guess_kind,
    measured,
    read_source,
)
from client.manifests.sources.files import files_below
from tests.client.audio.recordings import record, write


def read(source, kind, *case):
    return list(measured(read_source(source, kind, *case)))


def texts_of(found, folder):
    """Audio from the folder, and text, of what is in."""
    return [
        (str(each.utterance.audio.relative_to(folder)), each.utterance.text)
        for each in found
        if isinstance(each, Measured)
    ]


def left_out(found):
    return [each for each in found if isinstance(each, Problem)]


def test_folders_recordings_and_texts_are_paired_by_name_in_the_order_of_names(tmp_path):
    """The reference notebook's layout, with folders in it."""
    for name in ("b", "a", "z/a", "a.1"):
        record(tmp_path / "audio" / f"{name}.wav")
        write(tmp_path / "texts" / f"{name}.txt", f"text of {name}")
    found = read(Source(tmp_path / "audio", tmp_path / "texts"), "folders")
    assert texts_of(found, tmp_path / "audio") == [
        ("a.1.wav", "text of a.1"),
        ("a.wav", "text of a"),
        ("b.wav", "text of b"),
        ("z/a.wav", "text of z/a"),
    ]
    assert not left_out(found)


def test_folders_texts_may_lie_beside_recordings_and_have_marks_lines_and_spaces(tmp_path):
    record(tmp_path / "a.FLAC")
    write(
        tmp_path / "a.TXT",
        b"\xef\xbb\xbf Good\tday, \r",
        "  Mr. X\N{RIGHT SINGLE QUOTATION MARK}s ",
    )
    found = read(Source(tmp_path, tmp_path), "folders")
    assert texts_of(found, tmp_path) == [("a.FLAC", "Good day, Mr. X\u2019s")]
    (lower,) = read(Source(tmp_path, tmp_path), "folders", "lower")
    assert lower.utterance.text == "good day, mr. x\u2019s"


def test_folders_what_macos_leaves_behind_is_not_seen(tmp_path):
    record(tmp_path / "a.wav")
    for name in ("a.txt", "._a.txt", "._a.wav"):
        write(tmp_path / name, "text")
    assert len(read(Source(tmp_path, tmp_path), "folders")) == 1


@pytest.mark.parametrize(
    ("spoil", "fault", "says"),
    [
        (lambda f: record(f / "b.wav"), Fault.NO_TRANSCRIPT, "b.wav has no transcript"),
        (lambda f: write(f / "b.txt", "b"), Fault.NO_AUDIO, "is called b: check that folder"),
        (
            lambda f: write(record(f / "b.wav").with_suffix(".txt"), " "),
            Fault.EMPTY,
            "b.wav is empty",
        ),
        (
            lambda f: write(record(f / "b.wav").with_suffix(".txt"), b"caf\xe9"),
            Fault.MALFORMED,
            "b.txt is not UTF-8",
        ),
        (
            lambda f: write(write(f / "b.wav", "no audio").with_suffix(".txt"), "b"),
            Fault.UNREADABLE,
            "b.wav: ",
        ),
    ],
)
def test_folders_what_has_no_partner_is_left_out_and_the_rest_goes_on(spoil, fault, says, tmp_path):
    write(record(tmp_path / "a.wav").with_suffix(".txt"), "a")
    write(record(tmp_path / "c.wav").with_suffix(".txt"), "c")
    spoil(tmp_path)
    found = read(Source(tmp_path, tmp_path), "folders")
    assert [text for _, text in texts_of(found, tmp_path)] == ["a", "c"]
    (problem,) = left_out(found)
    assert problem.fault is fault
    assert says in f"{problem.where} {problem.reason}"


def test_folders_two_recordings_of_one_name_are_not_chosen_from(tmp_path):
    write(record(tmp_path / "a.wav").with_suffix(".txt"), "a")
    record(tmp_path / "a.flac")
    first, *others = read(Source(tmp_path, tmp_path), "folders")
    assert "a may be a.flac, a.wav" in first.reason
    assert [each.fault for each in others] == [Fault.NO_TRANSCRIPT] * 2


def test_librispeech_each_line_has_a_recording_and_its_name_a_speaker(tmp_path):
    for name in ("19-198-0000", "19-198-0001", "26-495-0000"):
        speaker, chapter, _ = name.split("-")
        record(tmp_path / speaker / chapter / f"{name}.flac")
    write(tmp_path / "19/198/19-198.trans.txt", "19-198-0000 ONE", "19-198-0001 TWO  THREE")
    write(tmp_path / "26/495/26-495.trans.txt", "26-495-0000 FOUR", "26-495-0001 FIVE")
    write(tmp_path / "SPEAKERS.TXT", "26 | M")
    record(tmp_path / "26/495/26-495-0002.flac")
    found = read(Source(tmp_path, tmp_path), "librispeech")
    assert [text for _, text in texts_of(found, tmp_path)] == ["ONE", "TWO THREE", "FOUR"]
    speakers = [each.utterance.speaker for each in found if isinstance(each, Measured)]
    assert speakers == ["19", "19", "26"]
    assert [each.fault for each in left_out(found)] == [Fault.NO_AUDIO, Fault.NO_TRANSCRIPT]
    assert left_out(found)[0].where.endswith("26-495.trans.txt line 2")


def test_librispeech_recordings_may_have_been_converted_to_another_folder(tmp_path):
    write(tmp_path / "19/198/19-198.trans.txt", "19-198-0000 ONE")
    record(tmp_path / "flat" / "19-198-0000.wav")
    found = read(Source(tmp_path / "flat", tmp_path), "librispeech")
    assert texts_of(found, tmp_path) == [("flat/19-198-0000.wav", "ONE")]


def kaldi_folder(folder, recordings, text, **more):
    for name, lines in {"wav.scp": recordings, "text": text, **more}.items():
        write(folder / name, *lines)
    return Source(folder, folder)


def test_kaldi_without_segments_each_recording_is_an_utterance(tmp_path):
    record(tmp_path / "wav/b.wav")
    source = kaldi_folder(
        tmp_path,
        ["u1 wav/b.wav", f"u2\t{record(tmp_path / 'elsewhere a.flac')}"],
        ["u2 zwei", "u1 eins  und"],
        utt2spk=["u1 anna"],
    )
    found = read(source, "kaldi")
    assert texts_of(found, tmp_path) == [
        ("wav/b.wav", "eins und"),
        ("elsewhere a.flac", "zwei"),
    ]
    assert [each.utterance.speaker for each in found] == ["anna", None]


def test_kaldi_segments_are_pieces(tmp_path):
    record(tmp_path / "long.wav", 5.0)
    source = kaldi_folder(
        tmp_path,
        ["rec long.wav"],
        ["s1 a", "s2 b", "s3 c"],
        segments=["s1 rec 0.0 1.5", "s2 rec 1.5 3.25", "s3 rec 3.25 -1"],
    )
    found = read(source, "kaldi")
    pieces = [(each.utterance.offset_s, each.duration_s) for each in found]
    assert pieces == [(0, 1.5), (1.5, 1.75), (3.25, 1.75)]


@pytest.mark.parametrize(
    ("name", "line", "fault", "says"),
    [
        ("wav.scp", "x sph2pipe -f wav x.sph |", Fault.UNREADABLE, "which is not run"),
        ("wav.scp", "x", Fault.MALFORMED, "names no file"),
        ("wav.scp", "x gone.wav", Fault.NO_AUDIO, "gone.wav: no such file"),
        ("wav.scp", "a b.wav", Fault.DUPLICATE, "a is in"),
        ("wav.scp", "y b.wav", Fault.NO_TRANSCRIPT, "y is not in"),
        ("text", "y b", Fault.NO_AUDIO, "y is not in"),
        ("text", "a b", Fault.DUPLICATE, "a is in"),
    ],
)
def test_kaldi_a_line_that_cannot_be_is_left_out_alone(name, line, fault, says, tmp_path):
    record(tmp_path / "a.wav")
    record(tmp_path / "b.wav")
    lines = {"wav.scp": ["a a.wav", "b b.wav"], "text": ["a one", "b two"]}
    if line.startswith("x"):
        lines["text"].append("x three")
    lines[name].insert(1, line)
    found = read(kaldi_folder(tmp_path, lines["wav.scp"], lines["text"]), "kaldi")
    assert texts_of(found, tmp_path) == [("a.wav", "one"), ("b.wav", "two")]
    (problem,) = left_out(found)
    assert problem.fault is fault
    assert says in problem.reason
    assert "line" in problem.where


@pytest.mark.parametrize(
    ("segment", "fault"),
    [
        ("x rec 1 2 3", Fault.MALFORMED),
        ("x rec 1", Fault.MALFORMED),
        ("x rec", Fault.MALFORMED),
        ("x", Fault.MALFORMED),
        ("x rec a b", Fault.MALFORMED),
        ("x rec 2 1", Fault.MALFORMED),
        ("x rec 1 1", Fault.MALFORMED),
        ("x rec -2 -1", Fault.MALFORMED),
        ("x rec nan 1", Fault.MALFORMED),
        ("x rec 1 2.2", Fault.DURATION),
        ("x rec 2 -1", Fault.DURATION),
        ("x rec 0 1", Fault.DUPLICATE),
        ("x cer 0 1", Fault.NO_AUDIO),
    ],
)
def test_kaldi_a_segment_that_cannot_be_is_left_out_alone(segment, fault, tmp_path):
    record(tmp_path / "a.wav", 2.0)
    segments = ["a rec 0 1", segment, "b rec 1 2.05"]  # within rounding of its end
    source = kaldi_folder(tmp_path, ["rec a.wav"], ["a 1", "x 2", "b 3"], segments=segments)
    found = read(source, "kaldi")
    assert [each.fault for each in left_out(found)] == [fault]
    assert [each.duration_s for each in found if isinstance(each, Measured)] == [1.0, 1.0]


def test_kaldi_both_files_are_needed(tmp_path):
    write(tmp_path / "wav.scp", "a a.wav")
    with pytest.raises(ManifestError, match=r"text: cannot be read: No such file"):
        read(Source(tmp_path, tmp_path), "kaldi")


def test_sphinx_marks_are_no_words_and_names_need_no_folders(tmp_path):
    """As AN4's: the path is of another tree, and the test set's lines have no marks."""
    record(tmp_path / "wav/an1.sph")
    record(tmp_path / "wav/an2.sph")
    write(tmp_path / "etc/x.fileids", "clstk/fash/an2", "clstk/fash/an1")
    transcription = tmp_path / "etc/x.transcription"
    write(transcription, "<s> ONE <sil> TWO </s> (an1)", "A (B) C (an2)")
    for path in (tmp_path / "etc", transcription, transcription.with_suffix(".fileids")):
        found = read(Source(tmp_path / "wav", path), "sphinx")
        assert texts_of(found, tmp_path / "wav") == [
            ("an2.sph", "A (B) C"),
            ("an1.sph", "ONE TWO"),
        ]


def test_sphinx_ids_may_be_whole_paths_where_last_parts_are_not_enough(tmp_path):
    for name in ("one/a", "two/a"):
        record(tmp_path / f"{name}.wav")
    write(tmp_path / "x.fileids", "one/a", "two/a")
    write(tmp_path / "x.transcription", "TWO (two/a)", "ONE (one/a)")
    found = read(Source(tmp_path, tmp_path), "sphinx")
    assert texts_of(found, tmp_path) == [("one/a.wav", "ONE"), ("two/a.wav", "TWO")]


def test_sphinx_lines_without_partner_are_left_out(tmp_path):
    record(tmp_path / "a.wav")
    write(tmp_path / "x.fileids", "a", "b", "c")
    write(tmp_path / "x.transcription", "A (a)", "NO ID", "B (b)", "D (d)", "A (a)")
    found = read(Source(tmp_path, tmp_path), "sphinx")
    assert texts_of(found, tmp_path) == [("a.wav", "A")]
    assert [(each.fault, each.where.split("/")[-1]) for each in left_out(found)] == [
        (Fault.MALFORMED, "x.transcription line 2"),
        (Fault.DUPLICATE, "x.transcription line 5"),
        (Fault.NO_AUDIO, "x.fileids line 2"),
        (Fault.NO_TRANSCRIPT, "x.fileids line 3"),
        (Fault.NO_AUDIO, "x.transcription line 4"),
    ]


def test_sphinx_several_sets_are_not_chosen_from(tmp_path):
    write(tmp_path / "x.fileids", "a")
    write(tmp_path / "y.fileids", "a")
    with pytest.raises(ManifestError, match=r"has x\.fileids, y\.fileids, expected one"):
        read(Source(tmp_path, tmp_path), "sphinx")


@pytest.mark.parametrize(
    ("name", "lines", "text"),
    [
        ("t.csv", ["path,text", 'a.wav,"one, ""two"""'], 'one, "two"'),
        ("t.csv", ["\ufeffText;Audio", "one, two;a.wav"], "one, two"),
        ("t.csv", ["transcript|wav_filename", "one|a.wav", ""], "one"),
        ("t.csv", ["file_name,transcription", 'a,"one', 'two"'], "one two"),
        ("t.tsv", ["path\tsentence", 'a.wav\t"One," he said.'], '"One," he said.'),
        ("t.tsv", ["path\tsentence", 'a.wav\t"One'], '"One'),
        ("t.CSV", [" filename , sentence ", " a.wav , one "], "one"),
    ],
)
def test_table_columns_and_delimiters_are_seen_from_the_header(name, lines, text, tmp_path):
    record(tmp_path / "a.wav")
    table = write(tmp_path / name, *lines)
    found = read(Source(tmp_path, table), "table")
    assert texts_of(found, tmp_path) == [("a.wav", text)]


def test_table_common_voice(tmp_path):
    """Its clips lie in a folder beside the tables, which choose some of them."""
    for number in (1, 2, 3):
        record(tmp_path / f"clips/common_voice_en_{number}.mp3", 1.5)
    table = write(
        tmp_path / "test.tsv",
        "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment",
        'c0ffee\tcommon_voice_en_3.mp3\t"Isn\'t it?"\t2\t0\t\t\t\ten\t',
        "bee\tcommon_voice_en_1.mp3\tYes.\t2\t1\ttwenties\tfemale\t\ten\t",
    )
    found = read(Source(tmp_path, table), "table")
    assert texts_of(found, tmp_path / "clips") == [
        ("common_voice_en_3.mp3", '"Isn\'t it?"'),
        ("common_voice_en_1.mp3", "Yes."),
    ]
    assert [each.utterance.speaker for each in found] == ["c0ffee", "bee"]
    assert all(each.duration_s == pytest.approx(1.5, abs=0.1) for each in found)


def test_table_columns_may_be_named(tmp_path):
    record(tmp_path / "a.wav")
    table = write(tmp_path / "t.csv", "path,text,raw,clip", "x.wav,no,yes,a.wav")
    found = read(Source(tmp_path, table, audio_column="Clip", text_column="raw"), "table")
    assert texts_of(found, tmp_path) == [("a.wav", "yes")]
    with pytest.raises(ManifestError, match=r"columns path, text, raw, clip, expected one of v"):
        read(Source(tmp_path, table, text_column="v"), "table")


@pytest.mark.parametrize("lines", [[], [""], ["a.wav,one"], ["path,words"]])
def test_table_without_a_header_nothing_can_be_read(lines, tmp_path):
    with pytest.raises(ManifestError, match=r"t\.csv: has the columns ") as raised:
        read(Source(tmp_path, write(tmp_path / "t.csv", *lines)), "table")
    assert "--audio-column, --text-column" in raised.value.text(FLAGS)
    assert raised.value.path == tmp_path / "t.csv"


@pytest.mark.parametrize(
    ("name", "lines", "chosen"),
    [
        ("t.csv", ["a.wav,Audio one", "b.wav,two"], {}),
        ("t.tsv", ["Audio one\ta", "two\tb"], {}),
        ("t.csv", ["a|x|Audio one", "b|y|two"], {"text_column": "3"}),
        ("t.csv", ["x.wav;a.wav;Audio one", "x.wav;b.wav;two"], {"text_column": "3"}),
        ("t.csv", ["a,Audio one", "b,two"], {"audio_column": "1"}),
        ("t.csv", ["a,Audio one", "b,two"], {"audio_column": "1", "text_column": "2"}),
    ],
)
def test_table_columns_without_a_header_go_by_their_numbers(name, lines, chosen, tmp_path):
    for each in "ab":
        record(tmp_path / f"{each}.wav")
    found = read(Source(tmp_path, write(tmp_path / name, *lines), **chosen), "table")
    assert texts_of(found, tmp_path) == [("a.wav", "Audio one"), ("b.wav", "two")]


def test_table_a_header_is_one_though_recordings_are_called_so(tmp_path):
    for each in ("audio", "text", "a"):
        record(tmp_path / f"{each}.wav")
    found = read(Source(tmp_path, write(tmp_path / "t.csv", "audio,text", "a,one")), "table")
    assert texts_of(found, tmp_path) == [("a.wav", "one")]


def test_table_which_of_several_columns_is_the_text_is_not_guessed(tmp_path):
    record(tmp_path / "a.wav")
    with pytest.raises(ManifestError, match=r"columns 1, 2, 3, expected .* their numbers"):
        read(Source(tmp_path, write(tmp_path / "t.csv", "a.wav,one,two")), "table")


@pytest.mark.parametrize(
    ("row", "fault", "says"),
    [
        ("b.wav", Fault.MALFORMED, "has 1 cells, expected 2"),
        ("b.wav,one,two", Fault.MALFORMED, "has 3 cells, expected 2"),
        ('b.wav,"one" two', Fault.MALFORMED, "no row of a table"),
        (b"b.wav,caf\xe9", Fault.MALFORMED, "not UTF-8"),
        ("b.wav,", Fault.EMPTY, "empty"),
        (",one", Fault.MALFORMED, "names no audio"),
        ("x.wav,one", Fault.NO_AUDIO, "is called x.wav"),
        (f"{'x' * 5000}.wav,one", Fault.NO_AUDIO, "is called xxx"),
        ("a\0.wav,one", Fault.NO_AUDIO, "is called a\0.wav"),
        ("./a.wav,one", Fault.DUPLICATE, "is the same audio as"),
        ("../t/a.wav,one", Fault.DUPLICATE, "is the same audio as"),
    ],
    ids=str,
)
def test_table_a_row_that_cannot_be_is_left_out_alone(row, fault, says, tmp_path):
    folder = tmp_path / "t"
    for name in "abc":
        record(folder / f"{name}.wav")
    table = write(folder / "t.csv", "path,text", "a.wav,one", row, "c.wav,three")
    found = read(Source(folder, table), "table")
    assert texts_of(found, folder) == [("a.wav", "one"), ("c.wav", "three")]
    (problem,) = left_out(found)
    assert problem.fault is fault
    assert says in problem.reason
    assert problem.where == f"{table} line 3"


def test_table_a_quotation_mark_that_is_never_closed_is_reported(tmp_path):
    record(tmp_path / "a.wav")
    table = write(tmp_path / "t.csv", "path,text", "a.wav,one", 'b.wav,"two', "c.wav,three")
    found = read(Source(tmp_path, table), "table")
    assert texts_of(found, tmp_path) == [("a.wav", "one")]
    assert [each.fault for each in left_out(found)] == [Fault.MALFORMED]


def test_transcripts_that_are_not_there_are_said_so(tmp_path):
    with pytest.raises(ManifestError, match="no such file or folder"):
        guess_kind(tmp_path / "gone")


@pytest.mark.parametrize(
    ("files", "path", "kind"),
    [
        (["a.txt"], "", "folders"),
        (["deep/er/a.txt"], "", "folders"),
        (["a.txt", "1/2/1-2.trans.txt"], "", "librispeech"),
        (["a.txt", "wav.scp", "text"], "", "kaldi"),
        (["a.txt", "x.fileids"], "", "sphinx"),
        (["x.fileids"], "x.fileids", "sphinx"),
        (["x.transcription"], "x.transcription", "sphinx"),
        (["t.CSV"], "t.CSV", "table"),
        (["t.tsv"], "t.tsv", "table"),
        (["t.tsv"], "", None),
        (["a.wav"], "", None),
        (["a.txt"], "a.txt", None),
    ],
)
def test_the_kind_is_seen_from_what_is_there(files, path, kind, tmp_path):
    for name in files:
        write(tmp_path / name, "x")
    if kind is None:
        with pytest.raises(ManifestError, match=r"no transcripts are known there, ") as raised:
            guess_kind(tmp_path / path)
        assert "--kind" in raised.value.text(FLAGS)
    else:
        assert guess_kind(tmp_path / path) == kind


@pytest.mark.parametrize("kind", ["folders", "librispeech", "sphinx", "table"])
def test_a_folder_that_is_none_is_one_error(kind, tmp_path):
    with pytest.raises(ManifestError, match=r"gone"):
        read(Source(tmp_path / "gone", tmp_path / "gone"), kind)


def test_files_below_a_folder_come_in_one_order(tmp_path):
    for name in ("b/2.wav", "b/1.WAV", "a/3.wav", "c.wav", "c.txt"):
        write(tmp_path / name, "x")
    found = [str(path.relative_to(tmp_path)) for path in files_below(tmp_path, [".wav"])]
    assert found == ["c.wav", "a/3.wav", "b/1.WAV", "b/2.wav"]
