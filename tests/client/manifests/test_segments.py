"""Segment files: the spans of each recording, and a problem for each bad line alone."""

import bz2
import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client.audio import Span
from client.bulk.formats.lines import ctm
from client.errors import ManifestError
from client.manifests.manifest import read_entries
from client.manifests.segments import read_segments
from client.result import Result
from client.transcript import Transcript, Word
from tests.client.audio.recordings import write

RTTM = "SPEAKER a 1 0.5 1 <NA> <NA> ann <NA> <NA>"
CTM = "a 1 0.5 1 word 0.9"
KALDI = "a-1 a 0.5 1.5"
NEMO = '{"audio_filepath": "a", "offset": 0.5, "duration": 1}'
OURS = '{"audio_filepath": "a", "segments": [{"start": 0.5, "end": 1.5, "text": "word"}]}'


@pytest.fixture
def segments(tmp_path):
    """Reads a file of these lines."""

    def read(*lines, name="s.txt"):
        return read_segments(write(tmp_path / name, *lines))

    return read


def rttm(name, start, duration, channel=1, speaker="ann"):
    return f"SPEAKER {name} {channel} {start} {duration} <NA> <NA> {speaker} <NA> <NA>"


def as_json(**fields):
    return json.dumps(fields)


def part(start, end, **more):
    return {"start": start, "end": end, **more}


@pytest.mark.parametrize(
    ("lines", "speaker"),
    [
        ([RTTM], "ann"),
        ([RTTM.removesuffix(" <NA>")], "ann"),
        (["SPKR-INFO a 1 <NA> <NA> <NA> unknown ann <NA> <NA>", RTTM.replace(" ", "\t")], "ann"),
        ([RTTM.replace("ann", "<NA>")], None),
        (["LEXEME a 1 0.5 0.2 word lex ann 0.9 <NA>", RTTM], "ann"),
        ([CTM], None),
        (["a A 0.5 1 word"], None),
        ([KALDI], None),
        ([NEMO], None),
        ([as_json(audio_filename="a", offset=0.5, duration=1, label="ann")], "ann"),
        ([as_json(audio_filepath="a", offset=0.5, duration=1, label="UNK", speaker=None)], None),
        ([as_json(audio_filepath="a", offset=0.5, duration=1, label="x", speaker=7)], "7"),
        ([OURS], None),
        ([as_json(audio_filepath="a", segments=[part(0.5, 1.5, speaker="ann")])], "ann"),
        ([as_json(audio_filepath="a", start=0.5, end=1.5, speaker="ann")], "ann"),
        ([json.dumps([part(0.5, 1.5, speaker="ann")])], "ann"),
        ([json.dumps([part(0.5, 1.5, speaker="ann")], indent=2)], "ann"),
        ([as_json(segments=[part(0.5, 1.5, speaker="ann", words=[])], language="en")], "ann"),
        ([as_json(diarization=[part(0.5, 1.5, speaker="ann")], exclusive_diarization=[])], "ann"),
        ([json.dumps({"segments": [part(0.5, 1.5, speaker="ann")]}, indent=2)], "ann"),
    ],
)
@pytest.mark.parametrize("ending", ["", "\r"])
@pytest.mark.parametrize("beginning", ["", "\ufeff", ";; a comment\n\n", "# a comment\n  \n"])
def test_every_format_is_known_by_its_content(lines, speaker, ending, beginning, segments):
    text = beginning + "\n".join(lines)
    found = segments(text.replace("\n", f"{ending}\n"))
    assert found.of("a") == (Span(0.5, 1.5, None, speaker),)
    assert not found.problems


@pytest.mark.parametrize(
    ("named", "read"),
    [
        ("1", [None]),
        ("2", [None]),
        ("0", [None]),
        ("A", [None]),
        (["<NA>", "1"], [None, None]),
        (["1", "2"], [1, 2]),
        (["1", "2", "<NA>"], [1, 2, None]),
        (["A", "b"], [1, 2]),
        (["0", "1"], [1, 2]),
        (["2", "8"], [2, 8]),
    ],
)
def test_a_channel_counts_only_where_the_file_has_several_of_a_recording(named, read, segments):
    """Diarizers run on the mean of the channels, and write 1."""
    other = rttm("b", 0, 1, 3)
    turns = [rttm("a", at, 1, channel) for at, channel in enumerate(named)]
    assert [span.channel for span in segments(other, *turns).of("a")] == read
    words = [f"a {channel} {at * 2} 1 word" for at, channel in enumerate(named)]
    assert [span.channel for span in segments(*words).of("a")][-1] == read[-1]


def test_a_ninth_channel_counted_from_0_is_a_problem_of_its_line_alone(segments):
    found = segments(rttm("a", 0, 1, 0), rttm("a", 1, 1, 8))
    assert found.of("a") == (Span(0, 1, 1, "ann"),)
    (problem,) = found.problems
    assert (problem.line, "the channel is 9" in str(problem)) == (2, True)


@pytest.mark.parametrize(
    ("words", "spans"),
    [
        (["0 1", "1 1"], [(0, 2)]),
        (["0 1", "1.59 1"], [(0, 2.59)]),
        (["10 0.4", "11 1"], [(10, 10.4), (11, 12)]),  # 0.6 s, less in binary
        (["3 1", "0 1"], [(0, 1), (3, 4)]),
        (["0 5", "1 1", "5.5 1"], [(0, 6.5)]),
        (["0 1", "1.2 0"], [(0, 1.2)]),
        (["0.1 0.2", "1 1"], [(0.1, 0.3), (1, 2)]),
    ],
)
def test_words_without_a_pause_between_them_are_one_span(words, spans, segments):
    found = segments(*(f"a 1 {times} word" for times in words))
    assert found.of("a") == tuple(Span(*times) for times in spans)


def test_words_of_two_files_or_channels_are_not_joined(segments):
    found = segments("a 1 0 1 x", "b 1 1 1 x", "a 2 1 1 x", "a 1 1.2 1 x")
    assert found.of("a") == (Span(0, 2.2, 1), Span(1, 2, 2))
    assert found.of("b") == (Span(1, 2),)


def test_our_own_ctm_is_read_though_the_name_has_spaces(segments):
    (entry,) = read_entries([{"audio_filepath": "calls/my call.wav"}])
    words = (Word("one", 0.2, 0.5, 0.9), Word("two", 1.25, 2.0, None))
    found = segments(ctm(entry, Result(0, transcript=Transcript("one two", words))))
    assert found.of("calls/my call.wav") == (Span(0.2, 0.5), Span(1.25, 2.0))


def test_kaldis_speakers_are_beside_its_segments_and_an_end_may_be_the_recordings(segments):
    write(segments(KALDI).path.with_name("utt2spk"), "a-1 ann", "a-3 ben", "a-1 ben")
    found = segments(KALDI, "a-2 a 2 3.5", "a-3\ta\t4\t-1", name="segments")
    *spans, last = found.of("a.wav")
    assert spans == [Span(0.5, 1.5, speaker="ann"), Span(2, 3.5)]
    assert (last.start_s, last.end_s > 1e6, last.speaker) == (4, True, "ben")
    (problem,) = found.problems
    assert re.fullmatch(r".*utt2spk line 3 a-1 is in .*utt2spk line 1 too: .*", str(problem))


def test_our_results_have_times_from_their_offset_and_channels(segments):
    parts = [part(2, 3, channel=2, speaker="ben"), part(0.1, 1, channel=1)]
    line = as_json(audio_filepath="a", offset=0.2, duration=9, pred_text="", segments=parts)
    found = segments(line, as_json(audio_filepath="quiet", segments=[]))
    assert found.of("a") == (Span(0.3, 1.2, 1), Span(2.2, 3.2, 2, "ben"))
    assert found.of("quiet") == ()


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        (RTTM, "SPEAKER a 1 2 3", "has 5 fields, expected 9 or 10: SPEAKER FILE"),
        (RTTM, rttm("a", 1, 1, speaker="ann x y"), "has 12 fields, expected 9 or 10"),
        (RTTM, "SPEKAER a 1 2 3 4 5 6 7 8", "begins with 'SPEKAER', expected SPEAKER"),
        (RTTM, rttm("a", "x", 1), "the start is 'x', expected seconds, at least 0"),
        (RTTM, rttm("a", "<NA>", 1), "the start is '<NA>'"),
        (RTTM, rttm("a", -1, 1), "the start is '-1'"),
        (RTTM, rttm("a", 1, -1), "the duration is '-1'"),
        (RTTM, rttm("a", 1, 0), "the segment goes from 1.0 to 1.0 s"),
        (RTTM, rttm("a", "nan", 1), "the start is 'nan'"),
        (RTTM, rttm("a", 1, "inf"), "the duration is 'inf'"),
        (RTTM, rttm("a", "1" * 9999, 1), "(10,001 characters)"),
        (RTTM, rttm("a", "1e308", "1.7e308"), "to inf s"),
        (RTTM, rttm("a", 0, 1, channel=9), "the channel is '9', expected 1 to 8, A, B or <NA>"),
        (RTTM, rttm("a", 0, 1, channel="left"), "the channel is 'left'"),
        (RTTM, b"\xff\xfe \x80", r"begins with '\udcff\udcfe', expected SPEAKER"),
        (CTM, "a 1 0.5 1", "has 4 fields, expected at least 5: FILE CHANNEL START DURATION WORD"),
        (CTM, "a 1 x 1 word", "the start is 'x'"),
        (CTM, "a 1 9 0 word", "the segment goes from 9.0 to 9.0 s"),
        (CTM, "a 1 1 -1 word", "the duration is '-1'"),
        (KALDI, "a-2 a 1", "has 'a 1', expected RECORDING START END in seconds, END -1 for all"),
        (KALDI, "a-2", "has '', expected"),
        (KALDI, "a-2 a 2 1", "has 'a 2 1', expected"),
        (KALDI, "a-2 a 0 nan", "has 'a 0 nan', expected"),
        (KALDI, "a-2 a 1e9 -1", "the segment goes from 1000000000.0 to"),
        (NEMO, "{", "is not JSON"),
        (NEMO, "[" * 100_000, "is not JSON"),
        (NEMO, "[1]", "is a JSON list, expected an object"),
        (NEMO, b'{"audio_filepath": "\xff"}', "is not JSON in UTF-8"),
        (NEMO, as_json(audio_filepath=3, offset=0, duration=1), "audio_filepath is 3"),
        (NEMO, as_json(audio_filepath="", offset=0, duration=1), "audio_filepath is ''"),
        (NEMO, as_json(start=0, end=1), "lacks audio_filepath, expected the path of a recording"),
        (NEMO, as_json(audio_filepath="a"), "has the fields ['audio_filepath'], expected start"),
        (NEMO, as_json(audio_filepath="a", duration="1"), "duration is '1', expected seconds"),
        (NEMO, as_json(audio_filepath="a", duration=True), "duration is True, expected seconds"),
        (NEMO, as_json(audio_filepath="a", duration=float("nan")), "duration is nan"),
        (NEMO, as_json(audio_filepath="a", offset=10**400, duration=1), "offset is inf"),
        (NEMO, '{"audio_filepath": "a", "duration": 1' + "0" * 5000 + "}", "is not JSON"),
        (NEMO, as_json(audio_filepath="a", offset=-1, duration=1), "offset is -1.0, expected"),
        (NEMO, as_json(audio_filepath="a", start=0), "end is None, expected seconds"),
        (NEMO, as_json(audio_filepath="a", start=2, end=1), "from 2.0 to 1.0 s"),
        (NEMO, as_json(audio_filepath="a", duration=1, channel=0), "channel is 0, expected 1 to 8"),
        (NEMO, as_json(audio_filepath="a", duration=1, channel="1"), "channel is '1', expected 1"),
        (NEMO, as_json(audio_filepath="a", duration=1, channel=True), "channel is True"),
        (NEMO, as_json(audio_filepath="a", duration=1, channel=10**4000), "(4,001 characters)"),
        (NEMO, as_json(audio_filepath="a", duration=1, speaker=["ann"]), "speaker is ['ann']"),
        (NEMO, as_json(audio_filepath="a", duration=1, speaker=True), "speaker is True"),
        (NEMO, as_json(audio_filepath="a", segments={}), "segments is {}, expected a list"),
        (NEMO, as_json(audio_filepath="a", segments=[3]), "segment 1: is a JSON int, expected an"),
    ],
)
def test_a_bad_line_is_a_problem_of_its_own_and_loses_nothing_else(good, bad, says, segments):
    found = segments(good, "", bad, good.replace("0.5", "0.6"))
    assert [span.start_s for span in found.of("a")][:1] == [0.5]
    assert found.of("a") == segments(good, good.replace("0.5", "0.6")).of("a")
    (problem,) = found.problems
    assert (problem.path, problem.line) == (found.path, 3)
    assert problem.message.startswith(f"{found.path} line 3: ")
    assert says in problem.message
    assert len(problem.message) < 600


def test_a_bad_segment_of_a_list_loses_none_of_the_others(segments):
    parts = [part(0, 1), part(2, 1), part(1, 2), part("x", 3)]
    line = segments(OURS, as_json(audio_filepath="b", segments=parts))
    document = segments(json.dumps(parts, indent=1))
    for found, where in [(line, " line 2"), (document, "")]:
        assert found.of("b") == (Span(0, 1), Span(1, 2))
        turned, wrong = map(str, found.problems)
        assert turned.startswith(f"{found.path}{where}: segment 2: the segment goes from 2.0 to 1")
        assert wrong == f"{found.path}{where}: segment 4: start is 'x', expected seconds"


def test_a_bad_segment_of_the_only_line_is_named_by_it(segments):
    line = as_json(audio_filepath="a", segments=[part(0, 1), part(1, 1)])
    (problem,) = segments("# made by hand", line).problems
    assert (problem.line, "line 2: segment 2: " in str(problem)) == (2, True)


def test_problems_are_in_the_order_of_lines(segments):
    found = segments("a 1 0 0 word", "a 1", CTM, "a 1 9 0 word", "a 9 9 9 word")
    assert [problem.line for problem in found.problems] == [2, 4, 5]


def test_spans_are_sorted_each_once_and_may_overlap(segments):
    lines = [rttm("a", 1, 3), rttm("a", 0, 2), rttm("a", 1, 3), rttm("a", 1, 2, speaker="ben")]
    assert segments(*lines).of("a") == (
        Span(0, 2, speaker="ann"),
        Span(1, 3, speaker="ben"),
        Span(1, 4, speaker="ann"),
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty, expected a segment file: RTTM, CTM"),
        (b"\n ;; nothing\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"start,end,speaker\n0,1,ann\n", "begins with 'start,end,speaker', expected a segment"),
        (b"caf\xe9 au lait\n", r"begins with 'caf\\xe9 au lait', expected"),
        (gzip.compress(RTTM.encode(), mtime=0), "is compressed with gzip, expected a segment file"),
        (bz2.compress(RTTM.encode()), "is compressed with bzip2"),
        (RTTM.encode("utf-16"), "is UTF-16, expected UTF-8: convert it"),
        (RTTM.encode("utf-16-le"), "is binary"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "is a recording, expected a segment file"),
        (b"SPKR-INFO a 1 <NA> <NA> <NA> unknown ann <NA> <NA>", "has no segments, expected"),
        (b"SPEAKER a 1 0 0\nSPEAKER b", "none of its 2 segments can be used: line 1 has 5 fields"),
        (b'[{"start": 1, "end": 0}]', "can be used: the first segment 1: the segment goes"),
        (b'{"start": 0, "end": 1}\n{"start": 1, "end": 2}', "(jq -s . OLD > NEW)"),
        (b'[{"start": 0, "end": 1},\n{"start" 1}]', "is no JSON (Expecting ':' delimiter: line 2"),
        (b"[" * 100_000, "is no JSON (maximum recursion depth exceeded"),
        (b"[1, 2]", "segment 1: is a JSON int, expected an object"),
    ],
)
def test_what_is_no_segment_file_is_told_once_for_what_it_is(content, says, tmp_path):
    path = tmp_path / "s.txt"
    path.write_bytes(content)
    with pytest.raises(ManifestError) as raised:
        read_segments(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert says in str(raised.value)
    assert raised.value.path == path


@pytest.mark.parametrize(
    ("name", "says"),
    [("", "Is a directory"), ("gone", "No such file"), ("a\0", "embedded null")],
)
def test_a_file_that_cannot_be_read_is_one_error(name, says, tmp_path):
    with pytest.raises(ManifestError, match=f"cannot read the segments: {says}"):
        read_segments(tmp_path / name)


def test_what_is_no_text_is_not_read_to_its_end():
    with pytest.raises(ManifestError, match="/dev/zero: is binary"):
        read_segments(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("a", "a"),
        ("a", "calls/a.wav"),
        ("a", "a.mkv"),
        ("a.1", "calls/a.1.wav"),
        ("a.1", "a.1"),
        ("a.1", "calls/a.1"),
        ("a.wav", "calls/a.flac"),
        ("a.WAV", "a"),
        ("x/a.wav", "y/a.wav"),
        ("my_call", "my call.wav"),
        ("\udce9", "calls/\udce9.wav"),
    ],
)
def test_a_recording_is_found_by_its_path_or_its_stem(name, asked, segments):
    found = segments(rttm(name, 0, 1).encode(errors="surrogateescape"), rttm("other.1", 0, 1))
    assert (found.name_of(asked), found.of(asked)) == (name, (Span(0, 1, speaker="ann"),))
    assert found.unused([asked]) == ("other.1",)


@pytest.mark.parametrize(
    ("names", "asked", "found"),
    [
        (["a", "a.1"], "a.wav", "a"),
        (["a", "a.1"], "a.1.wav", "a.1"),
        (["a.wav", "a.flac"], "a.flac", "a.flac"),
        (["x/a.wav", "y/a.wav"], "y/a.wav", "y/a.wav"),
        (["x/a.wav", "y/a.wav"], "{folder}/y/a.wav", "y/a.wav"),
        (["{folder}/x/a.wav", "y/a.wav"], "{folder}/z/../x//a.wav", "{folder}/x/a.wav"),
    ],
)
def test_of_several_the_recording_is_the_one_of_that_path(names, asked, found, segments, tmp_path):
    lines = [as_json(audio_filepath=each.format(folder=tmp_path), duration=1) for each in names]
    asked = asked.format(folder=tmp_path)
    assert segments(*lines).name_of(asked) == found.format(folder=tmp_path)


def test_a_recording_that_the_file_does_not_name_or_names_twice_is_an_error(segments):
    found = segments(*(rttm(name, 0, 1) for name in ("x/a.wav", "y/a.wav", "b", "c")))
    with pytest.raises(ManifestError, match=r"'d.wav', expected one of \['x/a.wav', 'y/a.wav', 'b"):
        found.of("d.wav")
    with pytest.raises(ManifestError, match=r"'a.wav' may be any of \['x/a.wav', 'y/a.wav'\], exp"):
        found.of("a.wav")
    assert found.unused(["a.wav", "d.wav", "B.wav", "c"]) == ("b",)


def test_a_document_without_names_is_for_any_recording_and_a_named_part_for_its_own(segments):
    found = segments(json.dumps([part(0, 1), {"audio_filepath": "b.wav", **part(1, 2)}]))
    assert (found.of("a.wav"), found.of("x/b.wav")) == ((Span(0, 1),), (Span(1, 2),))
    assert (found.name_of("a.wav"), found.unused(["a.wav"])) == (None, ("b.wav",))
    assert segments("[]").of("a.wav") == segments('{"segments": []}').of("a.wav") == ()


def test_names_that_no_file_can_have_are_no_crash(segments):
    names = ["a\0", "~\ud800", "~a\0b", "\ud800", "n" * 5000]
    found = segments(*(as_json(audio_filepath=each, duration=1) for each in names))
    for name in names:
        assert found.of(f"x/{name}.wav") == (Span(0, 1),)
    with pytest.raises(ManifestError, match="expected one of") as raised:
        found.of("\ud801" * 9999)
    assert len(str(raised.value).encode()) < 1000


_MS = st.integers(0, 10**8).map(lambda ms: ms / 1000)
_NAMES = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1).filter(
    lambda name: name != "<NA>"
)
_SPANS = st.builds(
    lambda start, length, channel, speaker: Span(start, start + length, channel, speaker),
    _MS,
    _MS.filter(bool),
    st.integers(1, 8),
    st.none() | _NAMES,
)


@given(name=_NAMES, spans=st.lists(_SPANS, min_size=1), bom=st.booleans())
@example(name="a", spans=[Span(0.1, 0.1 + 0.2, 1)], bom=False)
def test_spans_written_as_rttm_come_back(name, spans, bom, tmp_path_factory):
    lines = [
        rttm(name, f"{s.start_s:.3f}", f"{s.end_s - s.start_s:.3f}", s.channel, s.speaker or "<NA>")
        for s in spans
    ]
    several = len({span.channel for span in spans}) > 1
    path = write(tmp_path_factory.mktemp("s") / "s.rttm", "\ufeff" * bom + "\n".join(lines))
    found = read_segments(path)
    expected = {
        Span(s.start_s, round(s.end_s, 3), s.channel if several else None, s.speaker) for s in spans
    }
    assert not found.problems
    assert set(found.of(name)) == expected
    starts = [span.start_s for span in found.of(name)]
    assert (starts, len(starts)) == (sorted(starts), len(expected))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "audio_filepath offset duration segments start end speaker label channel".split()
            ),
            values,
        )
    ),
    max_leaves=8,
)
_FIELDS = st.sampled_from("SPEAKER LEXEME a 1 2 0 A <NA> -1 nan inf 1e308 0.5 \udcff 1_0 ٣".split())
_LINES = st.lists(st.lists(_FIELDS, max_size=11).map(" ".join) | _JSON.map(json.dumps), max_size=4)


@given(lines=_LINES, junk=st.binary(max_size=4))
def test_whatever_is_in_the_file_it_is_read_or_refused(lines, junk, tmp_path_factory):
    path = tmp_path_factory.mktemp("s") / "s"
    path.write_bytes(junk + "\n".join(lines).encode(errors="surrogateescape"))
    try:
        found = read_segments(path)
    except ManifestError as error:
        found, problems = None, [error]
    else:
        problems = found.problems
    assert all(problem.path == path for problem in problems)
    for name, spans in found.by_recording.items() if found else ():
        assert name is None or found.of(name) == spans
