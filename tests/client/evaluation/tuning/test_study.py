"""The search for weights: what is tried, that it can be repeated, and which trial is best."""

from contextlib import closing
from functools import partial

import numpy as np
import pytest

from client.decoding import BeamOptions, Hotword
from client.evaluation.tuning.counting import Counted, DecodingThreads
from client.evaluation.tuning.study import search
from client.evaluation.tuning.trials import RANGES, Space, Trial, best_of
from tests.client.evaluation.tuning.support import write_arpa, write_examples
from tests.client.support import CONTRACT

TRIALS = 40


def counted(errors):
    return Counted(np.array([[errors, 100]]), 0.1)


def bowl(options):
    """A decoder whose errors are fewest at alpha 1.2, beta 3, whatever else."""
    return counted(round(40 * (options.alpha - 1.2) ** 2 + 4 * (options.beta - 3) ** 2))


def found(space=None, count=bowl, trials=TRIALS, seed=0):
    space = space or Space(BeamOptions())
    return list(search(space, lambda decoders: map(count, decoders), trials, seed))


def tried(trials):
    return [(trial.options.alpha, trial.options.beta) for trial in trials]


def test_weights_that_are_widely_used_come_first_under_their_names():
    trials = found()
    assert tried(trials)[:3] == [(0.5, 1.5), (1.0, 0.0), (2.0, 1.5)]
    assert [trial.name for trial in trials[:4]] == ["defaults", "NeMo's", "notebook's", ""]
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert tried(found(trials=2)) == [(0.5, 1.5), (1.0, 0.0)]


def test_the_sampler_finds_what_is_good_and_stays_in_range():
    best = best_of(found()).options
    assert (best.alpha, best.beta) == pytest.approx((1.2, 3), abs=0.5)
    for name, (least, most) in RANGES.items():
        assert all(least <= getattr(trial.options, name) <= most for trial in found())


def test_the_same_seed_tries_the_same_weights_and_another_does_not():
    assert tried(found(seed=3)) == tried(found(seed=3))
    assert tried(found(seed=3)) != tried(found(seed=4))


def test_the_number_of_threads_changes_nothing(tmp_path):
    spoken = [("cat", "cot", "cat", 0.9), ("cot", "cot", "cat", 0.8), ("dog", "cog", "dog", 0.6)]
    utterances = write_examples(tmp_path, spoken * 3)
    space = Space(BeamOptions(write_arpa(tmp_path)))
    results = []
    for threads in (1, 3):
        with closing(DecodingThreads(CONTRACT, threads)) as pool:
            trials = list(search(space, partial(pool.count, examples=utterances), 25, seed=0))
        results.append([(trial.options, trial.counted.errors) for trial in trials])
    assert results[0] == results[1]
    assert len({errors for _, errors in results[0]}) > 1


def test_all_else_is_as_the_options_have_it():
    options = BeamOptions("lm.arpa", unk_score_offset=-3.0, beam_width=7, lm_case="upper")
    for trial in found(Space(options), trials=5):
        assert trial.options == BeamOptions(
            "lm.arpa",
            unk_score_offset=-3.0,
            beam_width=7,
            lm_case="upper",
            alpha=trial.options.alpha,
            beta=trial.options.beta,
        )


def test_the_hotwords_weight_is_searched_where_one_has_none_of_its_own():
    def weights(*hotwords):
        trials = found(Space(BeamOptions(hotwords=hotwords)), trials=20)
        return [trial.options.hotword_weight for trial in trials]

    assert weights(Hotword("cat"), Hotword("dog", 3.0))[:3] == [BeamOptions.hotword_weight] * 3
    assert len(set(weights(Hotword("cat"), Hotword("dog", 3.0)))) > 10
    assert set(weights(Hotword("dog", 3.0))) == {BeamOptions.hotword_weight}


def test_narrower_beams_are_tried_with_the_best_weights_and_win_if_they_do_as_well():
    def narrow_loses(options):
        return counted(bowl(options).errors + (options.beam_width < 32))

    space = Space(BeamOptions(beam_width=100), narrower=(8, 32))
    trials = found(space, narrow_loses)
    assert {trial.options.beam_width for trial in trials[:TRIALS]} == {100}
    assert [trial.options.beam_width for trial in trials[TRIALS:]] == [8, 32]
    assert [trial.number for trial in trials] == list(range(TRIALS + 2))
    assert tried(trials[TRIALS:]) == [tried([best_of(trials[:TRIALS])])[0]] * 2
    assert best_of(trials).options.beam_width == 32


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        ({"errors": 3, "alpha": 2.0}, {"errors": 4, "alpha": 1.0}),
        ({"beam_width": 10, "alpha": 2.0}, {"beam_width": 20, "alpha": 1.0}),
        ({"alpha": 0.5, "beta": 3.0}, {"alpha": 0.6, "beta": 0.0}),
        ({"beta": -0.5}, {"beta": 1.0}),
        ({"beta": 0.5}, {"beta": -1.0}),
        ({"hotword_weight": 1.0}, {"hotword_weight": 2.0}),
    ],
)
def test_of_equals_the_cheapest_and_then_the_mildest_is_best(winner, loser):
    def trial(number, errors=3, **options):
        return Trial(number, BeamOptions(**options), counted(errors))

    for numbers in ((0, 1), (1, 0)):
        first, second = trial(numbers[0], **winner), trial(numbers[1], **loser)
        assert best_of([first, second]) is best_of([second, first]) is first
