"""What a load sends, and when."""

import json
import statistics
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import soundfile

from benchmarks.errors import LoadError
from benchmarks.load.sending import LIBRISPEECH_S, Choice, choose, draw, poisson_times
from tests.client.support import CONTRACT

LONG = replace(CONTRACT, max_samples=60 * 16000)


@pytest.fixture
def manifest(tmp_path):
    """Two recordings that can be told apart, and one that is too long for the contract."""
    lines = []
    for name, level, seconds in (("a", 1000, 1.0), ("b", 2000, 1.5), ("c", 3000, 5.0)):
        audio = np.full(int(seconds * 16000), level, np.int16)
        soundfile.write(tmp_path / f"{name}.wav", audio, 16000)
        lines.append(json.dumps({"audio_filepath": f"{name}.wav", "duration": seconds}))
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_recordings_are_sent_as_they_are_and_those_that_do_not_fit_counted(manifest):
    utterances = choose(Choice("manifest", manifest), CONTRACT)
    assert utterances.durations_s == [1.0, 1.5]
    assert utterances.left_out == 1


def test_drawn_lengths_are_cut_out_of_recordings(manifest):
    utterances = choose(Choice("uniform:0.5:2", manifest, count=20), CONTRACT)
    assert all(0.5 <= seconds <= 2 for seconds in utterances.durations_s)
    assert {int(level) for audio in utterances.audio for level in np.unique(audio)} <= {
        1000,
        2000,
        3000,
    }


def test_an_utterance_may_be_longer_than_all_there_is_to_cut_from(manifest):
    assert choose(Choice("uniform:50:50", manifest, count=1), LONG).durations_s == [50]


def test_librispeechs_lengths_have_its_mean_and_bounds():
    lengths = draw(Choice("librispeech", count=5000), LONG)
    assert statistics.mean(lengths) == pytest.approx(12.3, abs=0.3)
    assert LIBRISPEECH_S[0] <= min(lengths) < 4
    assert 20 < max(lengths) <= LIBRISPEECH_S[1]
    assert sum(12 <= each <= 16.5 for each in lengths) > 0.55 * len(lengths)


def test_the_same_seed_draws_the_same_and_another_does_not():
    first, again, other = (
        choose(Choice("librispeech", count=8, seed=seed), LONG) for seed in (1, 1, 2)
    )
    assert first.durations_s == again.durations_s != other.durations_s
    for one, two in zip(islice(first.endless(3), 20), islice(again.endless(3), 20), strict=True):
        np.testing.assert_array_equal(one, two)


def test_every_utterance_is_sent_before_any_is_sent_again():
    utterances = choose(Choice("uniform:0.1:1", count=10), CONTRACT)
    sizes = [len(each) for each in islice(utterances.endless(0), 20)]
    assert sorted(sizes[:10]) == sorted(sizes[10:])
    assert sizes[:10] != sizes[10:]


def test_lengths_stay_within_what_the_model_takes():
    assert max(draw(Choice("uniform:1:50", count=50), CONTRACT)) == 2.0


@pytest.mark.parametrize("lengths", ["uniform", "uniform:2:1", "uniform:0:1", "normal:1:2", ""])
def test_lengths_that_make_no_sense_are_explained(lengths):
    with pytest.raises(LoadError, match="expected manifest, librispeech or uniform:A:B"):
        choose(Choice(lengths), CONTRACT)


def test_lengths_of_a_manifest_need_one():
    with pytest.raises(LoadError, match="--manifest"):
        choose(Choice("manifest"), CONTRACT)


def test_arrivals_are_planned_ahead_at_the_rate():
    times = poisson_times(50, 100, seed=0)
    assert times == sorted(times) == poisson_times(50, 100, seed=0)
    assert len(times) == pytest.approx(5000, rel=0.1)
    assert times[-1] < 100
