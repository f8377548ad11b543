"""The map is drawn whatever the trials were; how it looks, a person has to judge."""

from dataclasses import replace

import pytest
from matplotlib.image import imread

from client.decoding import BeamOptions, Hotword
from client.evaluation.tuning.heat_map import draw
from client.evaluation.tuning.trials import Space, Trial
from tests.client.evaluation.tuning.test_comparison import counted, tuning

RESULT = tuning((50, 50), (45, 40), (40, 30))


def trials(errors_of, narrower=()):
    weights = [(alpha / 2, beta) for alpha in range(7) for beta in range(-2, 7)]
    options = [BeamOptions("lm", alpha=alpha, beta=beta) for alpha, beta in weights]
    options += [replace(options[0], beam_width=width) for width in narrower]
    return [Trial(n, each, counted(errors_of(each))) for n, each in enumerate(options)]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"trials": RESULT.trials[:1]},
        {"trials": trials(lambda options: round(30 + 20 * options.alpha))},
        {"trials": trials(lambda options: round(20 * options.alpha), narrower=(8, 32))},
        {"trials": trials(lambda _: 50)},
        {"trials": trials(lambda _: 900)},
        {"trials": trials(lambda _: 0)},
        {"space": Space(BeamOptions("lm", hotwords=(Hotword("cat"),)))},
        {"comparison": tuning((0, 0), (1, 1), (0, 0)).comparison},
    ],
    ids=[
        "a few",
        "one",
        "better and worse",
        "with narrower beams",
        "all as greedy",
        "all worse",
        "all without errors",
        "with hotwords",
        "greedy without errors",
    ],
)
def test_a_map_is_drawn(tmp_path, change):
    path = tmp_path / "map.part"
    draw(replace(RESULT, **change), path, "png")
    assert imread(path, format="png").shape == (900, 1200, 4)


@pytest.mark.parametrize(("kind", "start"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_it_can_be_a_drawing_too(tmp_path, kind, start):
    draw(RESULT, tmp_path / "map", kind)
    assert (tmp_path / "map").read_bytes().startswith(start)
