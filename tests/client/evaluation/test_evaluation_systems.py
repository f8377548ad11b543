"""``--system``: what is meant is what is evaluated, and what cannot be meant is told."""

import json
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import pytest

from client.commands.arguments import add_transcriber
from client.commands.outputs import add_output
from client.commands.systems import add_systems, read_systems
from client.decoding import BeamOptions, GreedyOptions, Hotword, PyctcdecodeOptions, WeightedLm
from client.decoding.preset import Preset, write_preset
from client.errors import DecoderError

GREEDY = GreedyOptions(confidence=True)


@pytest.fixture
def preset(tmp_path):
    options = {"lm": "lm.arpa", "alpha": 0.7, "beam_width": 50}
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps({"version": 1, "decoder": "beam", "options": options}))
    return path


def read(*arguments):
    parser = ArgumentParser(prog="evaluate")
    add_systems(parser)
    add_transcriber(parser)
    add_output(parser, ("text", "json"))
    args = parser.parse_args(["--model", "demo", *map(str, arguments)])
    return read_systems(parser, args)


def system(text):
    (one,) = read("--system", text)
    return one.name, one.model, one.decoder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("greedy", ("greedy", "demo", GREEDY)),
        ("beam", ("beam", "demo", BeamOptions())),
        ("mine=greedy", ("mine", "demo", GREEDY)),
        ("n=greedy,exact_nemo_text", ("n", "demo", replace(GREEDY, exact_nemo_text=True))),
        ("int8=greedy,model=small", ("int8", "small", GREEDY)),
        ("int8=model=small", ("int8", "small", GREEDY)),
        ("greedy,model=small", ("greedy", "small", GREEDY)),
        ("b=lm=a.arpa", ("b", "demo", BeamOptions(Path("a.arpa")))),
        (
            "b=lm=a.arpa,alpha=2,beta=-1.5,beam_width=32,model=m",
            ("b", "m", BeamOptions(Path("a.arpa"), alpha=2, beta=-1.5, beam_width=32)),
        ),
        (
            "b=lm=a.arpa,lm=b.arpa=0.3",
            (
                "b",
                "demo",
                BeamOptions((WeightedLm(Path("a.arpa")), WeightedLm(Path("b.arpa"), 0.3))),
            ),
        ),
        ("b=lm=a.arpa=2", ("b", "demo", BeamOptions((WeightedLm(Path("a.arpa"), 2),)))),
        ("b=hotword=cat=-5", ("b", "demo", BeamOptions(hotwords=(Hotword("cat", -5),)))),
        ("pyctcdecode", ("pyctcdecode", "demo", PyctcdecodeOptions())),
        (
            "p=pyctcdecode,lm=a.arpa,alpha=2,beam_width=32,hotword=cat,hotword_weight=5,nbest=2",
            (
                "p",
                "demo",
                PyctcdecodeOptions(
                    Path("a.arpa"),
                    alpha=2,
                    beam_width=32,
                    hotwords=(Hotword("cat"),),
                    hotword_weight=5,
                    nbest=2,
                ),
            ),
        ),
        ("b=beam,beam-width=32", ("b", "demo", BeamOptions(beam_width=32))),
        ("b=beam,nbest=3", ("b", "demo", BeamOptions(nbest=3))),
        (
            "b=hotword=new york=9,hotword=cat,hotword_weight=3",
            (
                "b",
                "demo",
                BeamOptions(hotwords=(Hotword("new york", 9), Hotword("cat")), hotword_weight=3),
            ),
        ),
    ],
)
def test_a_system_is_what_it_says(text, expected):
    assert system(text) == expected


def test_a_path_that_exists_is_one_whatever_is_in_it(tmp_path):
    odd = tmp_path / "k=3"
    odd.touch()
    assert system(f"a=lm={odd}") == ("a", "demo", BeamOptions(odd))
    several = (WeightedLm(odd, 0.5), WeightedLm(Path("b.arpa")))
    assert system(f"a=lm={odd}=0.5,lm=b.arpa") == ("a", "demo", BeamOptions(several))


def test_a_preset_is_a_system_and_may_be_changed(preset):
    lm = preset.parent / "lm.arpa"
    tuned = BeamOptions(lm, alpha=0.7, beam_width=50)
    assert system(f"tuned={preset}") == ("tuned", "demo", tuned)
    assert system(f"{preset}") == (str(preset), "demo", tuned)
    _, _, changed = system(f"narrow={preset},beam_width=5,beta=0")
    assert changed == BeamOptions(lm, alpha=0.7, beta=0, beam_width=5)


def test_a_preset_of_one_search_serves_the_other(preset, tmp_path, capsys):
    lm = preset.parent / "lm.arpa"
    (other,) = read("--decoder-config", preset, "--decoder", "pyctcdecode", "--beta", "0")
    assert other.decoder == PyctcdecodeOptions(lm, alpha=0.7, beta=0, beam_width=50)
    write_preset(tmp_path / "theirs.json", Preset(other.decoder))
    assert system(f"p={tmp_path / 'theirs.json'}")[2] == other.decoder
    (back,) = read("--decoder-config", tmp_path / "theirs.json", "--decoder", "beam")
    assert back.decoder == BeamOptions(lm, alpha=0.7, beta=0, beam_width=50)
    write_preset(preset, Preset(BeamOptions(lm, lm_case="upper")))
    with pytest.raises(SystemExit):
        read("--decoder-config", preset, "--decoder", "pyctcdecode")
    assert "--lm-case: is not for --decoder pyctcdecode" in capsys.readouterr().err


@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_a_preset_for_nemos_text_gives_it_by_either_decoder(tmp_path, decoder):
    for preset in (
        Preset(None, greedy=GreedyOptions(exact_nemo_text=True)),
        Preset(BeamOptions(exact_nemo_text=True)),
    ):
        path = tmp_path / "preset.json"
        write_preset(path, preset)
        [chosen] = read("--decoder-config", path, "--decoder", decoder)
        assert isinstance(chosen.decoder, BeamOptions) == (decoder == "beam")
        assert chosen.decoder.exact_nemo_text
        [undone] = read("--decoder-config", path, "--decoder", decoder, "--no-exact-nemo-text")
        assert not undone.decoder.exact_nemo_text
        _, _, undone = system(f"own={path},no_exact_nemo_text")
        assert not undone.exact_nemo_text


def test_every_option_of_beam_search_can_be_given():
    values = {
        "lm": "a.arpa",
        "unigrams": "words.txt",
        "lm_case": "upper",
        "alpha": "1",
        "beta": "1",
        "unk_score_offset": "-5",
        "beam_width": "7",
        "beam_prune_logp": "-20",
        "token_min_logp": "-6",
        "hotword": "cat",
        "hotword_weight": "2",
        "nbest": "2",
    }
    spec = ",".join(f"{name}={value}" for name, value in values.items())
    _, _, given = system(f"all={spec},exact-nemo-text")
    default = BeamOptions()
    names = {*values} - {"hotword"} | {"hotwords", "exact_nemo_text"}
    assert names == set(vars(given))
    assert all(getattr(given, name) != getattr(default, name) for name in names)


def test_without_systems_there_is_one_named_after_what_it_is(preset):
    assert [each.name for each in read()] == ["greedy"]
    assert [each.name for each in read("--decoder", "beam")] == ["beam"]
    (beam,) = read("--decoder", "beam", "--lm", "a.arpa", "--alpha", "2")
    assert (beam.name, beam.decoder) == ("beam with a.arpa", BeamOptions(Path("a.arpa"), alpha=2))
    (several,) = read("--decoder", "beam", "--lm", "a.arpa", "--lm", "b.arpa=0.3")
    assert several.name == "beam with a.arpa + b.arpa=0.3"
    (tuned,) = read("--decoder-config", preset)
    assert (tuned.name, tuned.decoder.alpha) == (str(preset), 0.7)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--system", "lm=a.arpa,alpha=1"], "has no name, expected --system NAME=lm=a.arpa"),
        (["--system", "model=small"], "has no name"),
        (["--system", "=greedy"], "expected NAME=SPEC"),
        (["--system", "a="], "expected NAME=SPEC"),
        (["--system", "a=beam,gamma=1"], "'gamma=1' is no option, expected one of model=, "),
        (["--system", "a=beam,wide"], "'wide' is no option"),
        (["--system", "a=beam,beam_width=wide"], "invalid int value: 'wide'"),
        (["--system", "a=greedy,alpha=1"], "needs --decoder beam"),
        (["--system", "a=pyctcdecode,exact_nemo_text"], "is not for --decoder pyctcdecode"),
        (["--decoder", "pyctcdecode", "--lm-case", "upper", "--lm", "a"], "lm-case: is not for"),
        (["--system", "a=alpha=1"], "is for a language model"),
        (["--system", "a=lm=a.arpa=x"], "'a.arpa=x': no such file, and 'x' is no weight"),
        (["--system", "greedy", "--system", "greedy,model=b"], "several are named greedy"),
        (["--system", "greedy", "--lm", "a.arpa"], "lm: is for one system"),
        (["--system", "greedy", "--decoder", "beam"], "decoder: is for one system"),
        (["--system", "greedy", "--threads", "2"], "needs a system with beam search"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(arguments, says, capsys):
    with pytest.raises(SystemExit) as raised:
        read(*arguments)
    assert raised.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "says"),
    [("gredy", "gredy: cannot read the decoder preset"), ("lm=a,alpha=-1", "alpha -1.0 is not in")],
)
def test_what_makes_no_sense_names_the_system(spec, says):
    with pytest.raises(DecoderError, match=f"--system a={spec}: .*{says}"):
        read("--system", f"a={spec}")
