"""Noise that is what it says, utterances joined as told, and the command on a real server."""

import json

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.errors import SpeechError
from benchmarks.recordings.hallucinations import RIGHT, WRONG
from benchmarks.recordings.noises import FULL_SCALE, noises, recording
from benchmarks.recordings.sessions import (
    HISS,
    PAUSES,
    ROOM,
    Joining,
    at_least,
    at_most,
    join,
    load_utterances,
)
from benchmarks.recordings.silence import half_silent
from benchmarks.recordings.ways import ACTIVITY, WINDOWS
from demo.paths import DEMO

CLIPS = DEMO / "clips" / "manifest.jsonl"
RATE_HZ = 16000
LENGTH_S = 75.5  # more than the level is measured in, and no whole number of blocks


@pytest.fixture(scope="module")
def clips():
    return load_utterances(CLIPS, RATE_HZ)


@pytest.fixture(scope="module")
def kinds(clips):
    return {noise.name: noise for noise in noises(clips)}


NAMES = [noise.name for noise in noises()]
BABBLE = "babble, reversed"


def level_db(samples):
    return 20 * np.log10(np.sqrt(np.mean(np.square(samples, dtype=np.float64))) / FULL_SCALE)


def strengths(samples, *bands_hz):
    """The power in each band."""
    power = np.square(np.abs(np.fft.rfft(samples.astype(np.float64))))
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return [power[(hz >= low) & (hz < high)].sum() for low, high in bands_hz]


@pytest.mark.parametrize("name", [*NAMES[1:], BABBLE])
def test_noise_is_as_long_and_as_loud_as_it_says(kinds, name):
    samples = recording(kinds[name], RATE_HZ, LENGTH_S, seed=1)
    assert samples.dtype == np.int16
    assert len(samples) == round(LENGTH_S * RATE_HZ)
    assert level_db(samples) == pytest.approx(kinds[name].level_db, abs=1)
    assert np.abs(samples[-RATE_HZ:]).max() > 0  # to the end


def test_silence_is_digital(kinds):
    assert not recording(kinds["digital silence"], RATE_HZ, LENGTH_S, seed=1).any()


@pytest.mark.parametrize("name", [*NAMES[1:], BABBLE])
def test_noise_is_the_same_for_a_seed_and_another_for_another(kinds, name):
    first, again, other = (recording(kinds[name], RATE_HZ, 3, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", NAMES[1:])
def test_noise_goes_on_without_repeating_itself(kinds, name):
    samples = recording(kinds[name], RATE_HZ, 24, seed=1)
    first, second = samples[: 10 * RATE_HZ], samples[10 * RATE_HZ : 20 * RATE_HZ]
    assert not np.array_equal(first, second)


def test_hum_is_in_the_mains_harmonics(kinds):
    samples = recording(kinds["mains hum"], RATE_HZ, 20, seed=1)
    at_harmonics, between = strengths(samples, (49, 51), (70, 80))
    assert at_harmonics > 1000 * between


def test_hum_has_no_seam_between_blocks(kinds):
    samples = recording(kinds["mains hum"], RATE_HZ, 11, seed=1).astype(np.float64)
    steps = np.abs(np.diff(samples))
    assert steps[10 * RATE_HZ - 1] <= steps[: 9 * RATE_HZ].max()


def test_speechs_spectrum_is_loud_where_speech_is_and_swells_four_times_a_second(kinds):
    samples = recording(kinds["speech's spectrum, 4 Hz"], RATE_HZ, 20, seed=1)
    low, middle, high = strengths(samples, (0, 50), (200, 700), (4000, 7500))
    assert middle > 10 * high
    assert middle > 10 * low
    loudness = np.abs(samples.astype(np.float64)).reshape(-1, RATE_HZ // 100).mean(axis=1)
    spectrum = np.abs(np.fft.rfft(loudness - loudness.mean()))
    assert np.argmax(spectrum) == 4 * 20  # of 20 s


def test_music_has_a_beat(kinds):
    samples = recording(kinds["music"], RATE_HZ, 20, seed=1).astype(np.float64)
    beats = np.abs(samples).reshape(-1, 5, RATE_HZ // 10).mean(axis=(0, 2))  # in tenths
    assert np.argmax(beats) == 0
    assert beats[0] > 1.5 * beats[4]


@pytest.mark.parametrize("name", NAMES)
def test_telephone_rates_have_the_same_noises(kinds, name):
    assert len(recording(kinds[name], 8000, 2.5, seed=1)) == 20_000


@pytest.mark.parametrize("pauses", PAUSES)
def test_joined_utterances_stand_where_they_are_said_to(clips, pauses):
    session = join(clips, Joining(RATE_HZ, (0.5, 1.5), pauses, seed=1))
    ends = [*session.starts[1:], len(session.samples)]
    for each, start, end in zip(clips, session.starts, ends, strict=True):
        spoken = start + len(each.samples)
        assert np.array_equal(session.samples[start:spoken], each.samples)
        assert 0.5 <= (end - spoken) / RATE_HZ <= 1.5
    assert session.text == " ".join(each.text for each in clips)


def test_hiss_is_quiet_and_rooms_are_as_loud_as_their_utterance(clips):
    loud = [each for each in clips if np.abs(each.samples).max() > 1000][:1]
    length = len(loud[0].samples)
    hiss, room = (
        join(loud, Joining(RATE_HZ, (1.5, 1.5), noise)).samples[length:] for noise in (HISS, ROOM)
    )
    assert level_db(hiss) == pytest.approx(-64.3, abs=0.5)
    energy = np.convolve(np.square(loud[0].samples, dtype=np.float64), np.ones(1600), "valid")
    quietest = np.sqrt(energy.min() / 1600)
    assert np.sqrt(np.mean(np.square(room, dtype=np.float64))) == pytest.approx(
        quietest, rel=0.1, abs=0.5
    )


def test_recordings_of_a_length_hold_utterances_again_or_some(clips):
    joining = Joining(RATE_HZ, (0.5, 1.5))
    long = at_least(clips, joining, 200)
    assert 195 < len(long.samples) / RATE_HZ < 220
    assert long.utterances[: len(clips)] == clips
    short = list(at_most(clips, joining, 20))
    assert len(short) > 2
    assert all(len(each.samples) / RATE_HZ <= 20 for each in short)
    assert [spoken for each in short for spoken in each.utterances] == clips


def test_half_silent_recordings_are_half_silent(clips):
    (samples,), (again,) = (half_silent(clips, RATE_HZ, 120) for _ in range(2))
    assert np.array_equal(samples, again)
    assert len(samples) >= 120 * RATE_HZ
    assert len({len(each) for each in half_silent(clips, RATE_HZ, 601)}) == 3
    loudness = np.abs(samples[: 120 * RATE_HZ].astype(np.float64)).reshape(-1, RATE_HZ // 2)
    assert 0.4 < np.mean(loudness.mean(axis=1) < 50) < 0.7  # clips have pauses of their own


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{"audio_filepath": "absent.wav", "text": "one"}], "absent.wav"),
        ([{"audio_filepath": str(DEMO / "clips" / "clip_01.flac")}], "lacks text"),
        ([], "holds no recordings"),
    ],
    ids=["no such file", "no text", "nothing"],
)
def test_a_manifest_that_is_of_no_use_is_refused(tmp_path, lines, said):
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(SpeechError, match=said):
        load_utterances(manifest, RATE_HZ)


def test_the_command_measures_all_parts(server_url, tmp_path, capsys):
    output = tmp_path / "run.json"
    status = main(
        [
            *("recordings", "--url", server_url, "--model", "demo", "--manifest", str(CLIPS)),
            *("--decoder-config", str(DEMO / "beam.json"), "--short", "--output", str(output)),
        ]
    )
    assert status == 0
    found = json.loads(output.read_text())
    of_errors(found["joined"])
    of_hour(found["hour"])
    of_noise(found["noise"])
    assert [each["speed"]["name"] for each in found["silence"]] == [WINDOWS, ACTIVITY]
    assert all(each["speed"]["rtfx"] > 0 for each in found["silence"])
    assert found["cost"]["rtfx"] > 1
    printed = capsys.readouterr()
    for title in ("Word errors in 119 words", "of each noise", "Half silent", "by itself"):
        assert title in printed.out
    assert "greedy, one by one" in printed.err


def of_errors(found):
    """Joined utterances err more often than by themselves, least where voice activity cuts them."""
    rates = {(each["pauses"], each["decoder"], each["way"]): each["rate"] for each in found}
    assert len(rates) == 10
    for decoder in ("greedy", "beam"):
        assert rates["", decoder, "one by one"] < 0.1
        for pauses in PAUSES:
            assert rates[pauses, decoder, ACTIVITY] <= rates[pauses, decoder, WINDOWS]


def of_hour(found):
    assert {(each["decoder"], each["way"]) for each in found} == {
        (decoder, way) for decoder in ("greedy", "beam") for way in (WINDOWS, ACTIVITY)
    }
    for each in found:
        assert each["audio_s"] >= 29
        assert each["end_median_ms"] < 100
        assert 20 < each["peak_mib"] < 500


def of_noise(found):
    """Voice activity leaves out what is no voice, windows do not."""
    words = {(each["noise"], each["way"]): each["words_per_hour"] for each in found["noises"]}
    assert len(words) == 2 * (len(NAMES) + 1)
    assert words["hiss, -30 dB", WINDOWS] > 100
    assert words["hiss, -30 dB", ACTIVITY] == 0
    right, wrong = found["speech"][RIGHT], found["speech"][WRONG]
    assert right["words"] > 100 > wrong["words"] > 0
    assert right["below"] == sorted(right["below"])


def test_noise_needs_no_manifest_and_babble_does(server_url, tmp_path, capsys):
    output = tmp_path / "run.json"
    arguments = ("recordings", "--url", server_url, "--model", "demo", "--short")
    assert main([*arguments, "--parts", "noise", "--output", str(output)]) == 0
    found = json.loads(output.read_text())["noise"]
    assert {each["noise"] for each in found["noises"]} == set(NAMES)
    assert "speech" not in found
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--parts", "noise", "cost"])
    assert "--parts cost: needs --manifest" in capsys.readouterr().err


def test_a_greedy_preset_is_no_beam_search(server_url, tmp_path, capsys):
    preset = tmp_path / "greedy.json"
    preset.write_text(json.dumps({"version": 1, "decoder": "greedy", "options": {}}))
    with pytest.raises(SystemExit, match="2"):
        main(
            [
                *("recordings", "--url", server_url, "--model", "demo", "--manifest", str(CLIPS)),
                *("--decoder-config", str(preset)),
            ]
        )
    assert "is greedy" in capsys.readouterr().err
