"""Kept outputs of recordings that were cut: decoded, they give what transcribing gives."""

import json
from dataclasses import replace

import numpy as np
import pytest

from client import AudioOptions, BeamOptions, GreedyOptions, Span, Transcriber
from client.decoding import make_decoder
from client.evaluation.acoustics import AcousticModel, AcousticOptions
from client.manifests.manifest import read_manifest, with_text
from client.segmentation import SegmentationOptions
from client.wire.transport import TransportOptions, TritonTransport
from tests.client.support import CONTRACT, encoded, scripted_server
from tests.client.test_segments import RATE_HZ, hear, letters, marked, talk

GREEDY = GreedyOptions(confidence=True)
DECODERS = [GREEDY, BeamOptions(nbest=3)]
SILENCE = np.zeros(5 * RATE_HZ, np.int16)


def two_channels():
    left, right = talk(1, 3), talk(4)
    both = np.zeros((max(len(left), len(right)), 2), np.int16)
    both[: len(left), 0] = left
    both[: len(right), 1] = right
    return both


RECORDINGS = {
    "long.wav": talk(1, 4, 10),
    "short.wav": marked(3)[8000:24000],
    "silent.wav": SILENCE,
    "both.wav": two_channels(),
}
SPANS = (
    Span(0.5, 5.0, 1, "Ann"),
    Span(0.5, 3.0, 2, "Bob"),
    Span(0.5, 3.0, speaker="Cy"),
)


@pytest.fixture
def manifest(tmp_path):
    for name, samples in RECORDINGS.items():
        (tmp_path / name).write_bytes(encoded(samples))
    path = tmp_path / "m.jsonl"
    lines = [json.dumps({"audio_filepath": name, "text": "a"}) for name in RECORDINGS]
    path.write_text("\n".join(lines))
    return path


def entries_of(manifest, spans=()):
    entries = list(with_text(read_manifest(manifest)))
    if not spans:
        return entries
    return [
        replace(entry, item=replace(entry.item, segments=spans))
        for entry in entries
        if "both" in str(entry.item.source)
    ]


class Counted:
    """A server's answers, and how many there were."""

    def __init__(self):
        self.asked = 0

    def __call__(self, request, context):
        """Answer and count."""
        self.asked += 1
        return hear(request, context)


def kept(manifest, url, entries, **options):
    """The outputs of each entry, by its line."""
    transport = TritonTransport(url, "demo", TransportOptions())
    try:
        acoustic = AcousticModel(transport, manifest.parent / "cache", AcousticOptions(**options))
        results = list(acoustic.run(entries))
    finally:
        transport.close()
    assert [result.error for _, result in results] == [None] * len(entries)
    return [acoustic.outputs[entry.line] for entry in entries]


CASES = [
    ({}, ()),
    ({"segmentation": SegmentationOptions("vad")}, ()),
    ({"segmentation": SegmentationOptions("window")}, ()),
    ({"audio": AudioOptions(channel="each")}, ()),
    (
        {"audio": AudioOptions(channel="each"), "segmentation": SegmentationOptions("window")},
        (),
    ),
    ({}, SPANS),
]


@pytest.mark.parametrize(("options", "spans"), CASES)
@pytest.mark.parametrize("decoder", DECODERS, ids=["greedy", "beam"])
def test_they_decode_to_what_transcribing_gives(manifest, options, spans, decoder):
    entries = entries_of(manifest, spans)
    infer = Counted()
    with scripted_server(infer) as url:
        first = kept(manifest, url, entries, **options)
        asked = infer.asked
        again = kept(manifest, url, entries, **options)
        assert infer.asked == asked
        with Transcriber(url, "demo", decoder=decoder, log_probs=True, **options) as transcriber:
            results = list(transcriber.transcribe([entry.item for entry in entries]))
    assert again == first
    made = make_decoder(CONTRACT, decoder)
    for outputs, result in zip(first, results, strict=True):
        found, expected = outputs.decoded(made), result.unwrap()
        assert outputs.duration_s == result.duration_s
        assert found.text == expected.text
        assert_alike(found, expected)
        assert (found.segments is None) == (expected.segments is None)
        for one, other in zip(found.segments or (), expected.segments or (), strict=True):
            assert (one.start_s, one.end_s) == (other.start_s, other.end_s)
            assert (one.channel, one.speaker) == (other.channel, other.speaker)
            assert_alike(one, other)
        log_probs = [each.log_probs for each in expected.segments or ()] or [result.log_probs]
        if result.log_probs is None and not expected.segments:
            log_probs = [np.zeros((0, CONTRACT.blank + 1))]
        np.testing.assert_array_equal(outputs.log_probs(), np.concatenate(log_probs))
        assert outputs.whole == (result.log_probs is not None and outputs.duration_s <= 2)
    made.close()


def assert_alike(found, expected):
    """But for the rounding of floating times."""
    assert found.text == expected.text
    assert [each.text for each in found.nbest] == [each.text for each in expected.nbest]
    for one, other in zip(found.words, expected.words, strict=True):
        assert (one.text, one.confidence) == (other.text, other.confidence)
        assert (one.start_s, one.end_s) == pytest.approx((other.start_s, other.end_s), abs=1e-9)


def drop(*names):
    def damage(facts):
        for name in names:
            del facts[name]
        return json.dumps(facts)

    return damage


def change(**values):
    return lambda facts: json.dumps({**facts, **values})


def first_segment(edit):
    def damage(facts):
        edit(facts["segments"][0])
        return json.dumps(facts)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda _: "{",
        lambda _: "null",
        lambda _: "[]",
        drop("segments"),
        drop("duration_s"),
        change(segments=[]),
        change(segments=7),
        change(segments=[[0.0, 1.0]]),
        change(segments=[[0.0, 1.0, "many", None, None]]),
        change(duration_s="long"),
        first_segment(lambda each: each.__setitem__(2, each[2] + 1)),
        first_segment(lambda each: each.pop()),
    ],
)
def test_outputs_whose_facts_are_damaged_are_computed_again(manifest, damage):
    (entry, *_) = entries_of(manifest)
    infer = Counted()
    with scripted_server(infer) as url:
        (first,) = kept(manifest, url, [entry])
        asked = infer.asked
        (path,) = (manifest.parent / "cache").rglob("*.json")
        sound = path.read_bytes()
        path.write_text(damage(json.loads(sound)))
        assert kept(manifest, url, [entry]) == [first]
        assert infer.asked == 2 * asked
        assert path.read_bytes() == sound
        path.unlink()
        assert kept(manifest, url, [entry]) == [first]
        assert infer.asked == 3 * asked
        assert path.read_bytes() == sound


def test_frames_that_are_moved_between_segments_are_noticed_where_one_is_negative(manifest):
    (entry, *_) = entries_of(manifest)
    infer = Counted()
    with scripted_server(infer) as url:
        kept(manifest, url, [entry])
        asked = infer.asked
        (path,) = (manifest.parent / "cache").rglob("*.json")
        facts = json.loads(path.read_bytes())
        moved = facts["segments"][0][2] + 10
        facts["segments"][0][2] -= moved
        facts["segments"][1][2] += moved
        path.write_text(json.dumps(facts))
        kept(manifest, url, [entry])
    assert infer.asked == 2 * asked


def test_other_segments_of_the_same_audio_are_kept_apart(manifest):
    infer = Counted()
    with scripted_server(infer) as url:
        texts = []
        for spans in (SPANS, SPANS[:1], (replace(SPANS[0], end_s=3.0),), SPANS, ()):
            (entry,) = entries_of(manifest, SPANS)
            item = replace(entry.item, segments=spans)
            (output,) = kept(manifest, url, [replace(entry, item=item)])
            made = make_decoder(CONTRACT, GREEDY)
            texts.append(output.decoded(made).text)
    assert texts[1] == texts[2] == letters(1)
    assert texts[0] == texts[3] != texts[1]
    paths = list((manifest.parent / "cache").rglob("*.npy"))
    assert len(paths) == 4


def test_other_ways_of_cutting_are_kept_apart(manifest):
    entries = entries_of(manifest)[:1]
    infer = Counted()
    with scripted_server(infer) as url:
        for segmentation in (
            SegmentationOptions(),
            SegmentationOptions("window"),
            SegmentationOptions("window", 1.0, 0.2),
        ):
            kept(manifest, url, entries, segmentation=segmentation)
    assert len(list((manifest.parent / "cache").rglob("*.npy"))) == 3
