"""What is recommended: never what does worse than greedy decoding on speech it was not tuned on."""

from pathlib import Path

import numpy as np
import pytest

from client.decoding import BeamOptions
from client.decoding.preset import read_preset, write_preset
from client.evaluation.acoustic_cache import AcousticOutput
from client.evaluation.result import GREEDY
from client.evaluation.tuning.comparison import compare
from client.evaluation.tuning.counting import Counted
from client.evaluation.tuning.parts import Example, Parts
from client.evaluation.tuning.result import Tuning
from client.evaluation.tuning.trials import Space, Trial
from tests.client.support import CONTRACT

UTTERANCES = 20


def counted(errors):
    """These errors, dealt out to utterances of ten words."""
    dealt = [errors // UTTERANCES + (n < errors % UTTERANCES) for n in range(UTTERANCES)]
    return Counted(np.array([(each, 10) for each in dealt]), 0.1)


def tuning(greedy, defaults, tuned):
    """Each of (errors tuned on, errors held out)."""
    options = {"defaults": BeamOptions("lm.arpa"), "tuned": BeamOptions("lm.arpa", alpha=1.0)}
    held_out = {GREEDY: greedy[1], options["defaults"]: defaults[1], options["tuned"]: tuned[1]}
    trials = [
        Trial(0, options["defaults"], counted(defaults[0]), "defaults"),
        Trial(1, BeamOptions("lm.arpa", alpha=2.0, beta=0.0), counted(1000)),
        Trial(2, options["tuned"], counted(tuned[0])),
    ]
    comparison = compare(
        counted(greedy[0]), trials, lambda decoders: [counted(held_out[each]) for each in decoders]
    )
    examples = [Example("one two", AcousticOutput(Path(), 1.0))]
    return Tuning(
        CONTRACT,
        (Path("dev.jsonl"), Path("held.jsonl")),
        Parts(examples * 2, examples),
        Space(BeamOptions("lm.arpa")),
        5,
        trials,
        comparison,
    )


@pytest.mark.parametrize(
    ("greedy", "defaults", "tuned", "chosen", "said"),
    [
        ((50, 50), (45, 40), (40, 30), "tuned", "20 word errors fewer than greedy"),
        ((50, 50), (45, 30), (40, 30), "tuned", "20 word errors fewer than greedy"),
        ((50, 50), (45, 30), (40, 40), "defaults", "The default weights make fewer, 30"),
        ((50, 50), (45, 40), (40, 60), "defaults", "10 word errors more than greedy"),
        ((50, 50), (60, 60), (40, 60), "greedy", "10 word errors more than greedy"),
        ((50, 50), (60, 60), (40, 50), "greedy", "as many word errors as greedy decoding, 50"),
        ((50, 50), (60, 40), (50, 40), "greedy", "No weights do better than greedy"),
        ((50, 50), (60, 40), (55, 40), "greedy", "55 word errors at best, greedy 50"),
        ((0, 0), (0, 0), (0, 0), "greedy", "No weights do better than greedy"),
    ],
)
def test_beam_search_is_recommended_only_where_it_gains_on_both_parts(
    greedy, defaults, tuned, chosen, said
):
    result = tuning(greedy, defaults, tuned)
    assert result.comparison.chosen == chosen
    assert said in result.comparison.verdict()
    alpha = {"tuned": 1.0, "defaults": 0.5}.get(chosen)
    assert (result.preset().beam and result.preset().beam.alpha) == alpha


def test_the_difference_comes_with_its_interval_and_chance_is_called_chance():
    sure = tuning((50, 60), (45, 55), (40, 40)).comparison.verdict()
    assert "(40 instead of 60; -10.0 points, 95 % interval -10.0 to -10.0)" in sure
    assert "chance" not in sure
    assert "chance" in tuning((50, 51), (49, 51), (48, 50)).comparison.verdict()


def test_the_preset_tells_how_it_came_about(tmp_path):
    path = tmp_path / "preset.json"
    write_preset(path, tuning((50, 51), (45, 41), (40, 31)).preset())
    preset = read_preset(path)
    assert preset.checkpoint_sha256 == CONTRACT.checkpoint_sha256
    record = preset.tuning
    assert record["tuned_on"] == {
        "manifest": "dev.jsonl",
        "utterances": 2,
        "words": 4,
        "word_errors": {"greedy": 50, "defaults": 45, "tuned": 40},
    }
    assert record["held_out"]["manifest"] == "held.jsonl"
    assert record["held_out"]["word_errors"] == {"greedy": 51, "defaults": 41, "tuned": 31}
    low, high = record["held_out"]["tuned_minus_greedy_interval"]
    assert low <= -0.1 <= high
    assert record["tuned"] == {"alpha": 1.0, "beta": 1.5}
    assert (record["chosen"], record["number_of_trials"], record["seed"]) == ("tuned", 3, 5)
    assert {"optuna", "nemo-ctc-search"} <= set(record["versions"])


def test_a_greedy_preset_keeps_the_figures_that_speak_against_the_language_model(tmp_path):
    path = tmp_path / "preset.json"
    write_preset(path, tuning((50, 50), (60, 60), (40, 60)).preset())
    preset = read_preset(path)
    assert preset.beam is None
    assert preset.tuning["tuned"] == {"alpha": 1.0, "beta": 1.5}
    assert preset.tuning["held_out"]["word_errors"]["tuned"] == 60


def test_json_has_the_record_and_every_trial():
    data = tuning((50, 50), (45, 40), (40, 30)).as_json()
    assert [trial["word_errors"] for trial in data["trials"]] == [45, 1000, 40]
    assert data["trials"][0] == {
        "alpha": 0.5,
        "beta": 1.5,
        "word_errors": 45,
        "decoding_s": 0.1,
        "name": "defaults",
    }
    assert (data["chosen"], data["seed"]) == ("tuned", 5)


def test_what_a_few_utterances_show_is_called_chance(monkeypatch):
    monkeypatch.setattr("tests.client.evaluation.tuning.test_comparison.UTTERANCES", 3)
    assert "chance" in tuning((60, 60), (45, 45), (30, 30)).comparison.verdict()
