"""Decoder presets: what is written is read, from any folder, and mistakes in them are named."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.decoding import BeamOptions, GreedyOptions, Hotword, PyctcdecodeOptions, WeightedLm
from client.decoding.preset import Preset, read_preset, write_preset
from client.errors import DecoderError

PRESET = Preset(
    BeamOptions(lm=Path("lm.arpa"), alpha=0.7, beta=0.5, hotwords=(Hotword("changi", 3.0),)),
    checkpoint_sha256="ab" * 32,
    tuning={"trials": 3},
)
weights = st.floats(0, 100)


@pytest.fixture
def path(tmp_path, monkeypatch):
    (tmp_path / "presets").mkdir()
    monkeypatch.chdir(tmp_path)
    return Path("presets/tuned.json")


@pytest.mark.parametrize(
    "preset",
    [
        PRESET,
        Preset(None),
        Preset(None, greedy=GreedyOptions(exact_nemo_text=True)),
        Preset(BeamOptions()),
        Preset(BeamOptions(exact_nemo_text=True)),
        Preset(PyctcdecodeOptions(alpha=1.0, hotwords=(Hotword("changi"),))),
        Preset(PyctcdecodeOptions(lm=Path("lm.arpa"))),
    ],
)
def test_what_is_written_is_read(path, preset):
    write_preset(path, preset)
    read = read_preset(path)
    assert (read.checkpoint_sha256, read.tuning) == (preset.checkpoint_sha256, preset.tuning)
    assert read.greedy == preset.greedy
    if preset.beam is None or preset.beam.lm is None:
        assert read.beam == preset.beam
    else:
        assert type(read.beam) is type(preset.beam)
        assert Path(read.beam.lm).resolve() == Path(preset.beam.lm).resolve()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    alpha=weights,
    beta=st.floats(-100, 100),
    width=st.integers(1, 999),
    word=st.text("ab '", min_size=1),
)
def test_all_options_come_back(path, alpha, beta, width, word):
    hotwords = (Hotword(word + "c"), Hotword("d", alpha), Hotword("e", -alpha))
    options = BeamOptions(alpha=alpha, beta=beta, beam_width=width, hotwords=hotwords, nbest=2)
    write_preset(path, Preset(options))
    assert read_preset(path).beam == options


def test_a_preset_moves_with_its_language_model(path, tmp_path, monkeypatch):
    Path("presets/lm.arpa").touch()
    write_preset(path, Preset(BeamOptions(lm=Path("presets/lm.arpa"))))
    Path("presets").rename("elsewhere")
    monkeypatch.chdir("/")
    options = read_preset(tmp_path / "elsewhere" / "tuned.json").beam
    assert options.lm == tmp_path / "elsewhere" / "lm.arpa"


def test_several_language_models_move_with_the_preset(path, tmp_path, monkeypatch):
    models = (WeightedLm(Path("presets/a.arpa")), WeightedLm("b.arpa", 0.3))
    write_preset(path, Preset(BeamOptions(lm=models)))
    Path("presets").rename("elsewhere")
    monkeypatch.chdir("/")
    read = read_preset(tmp_path / "elsewhere" / "tuned.json").beam.lm
    assert [each.weight for each in read] == [1.0, 0.3]
    assert read[0].path == tmp_path / "elsewhere" / "a.arpa"
    assert read[1].path.resolve() == tmp_path / "b.arpa"


def test_a_preset_in_a_linked_folder_finds_its_language_model(path, tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    (tmp_path / "lm.arpa").touch()
    write_preset(tmp_path / "link" / "tuned.json", Preset(BeamOptions(lm=Path("lm.arpa"))))
    assert Path(read_preset(tmp_path / "link" / "tuned.json").beam.lm).exists()
    assert not path.exists()


def test_weights_are_written_even_if_they_are_the_defaults(path):
    write_preset(path, Preset(BeamOptions()))
    assert json.loads(path.read_text())["options"] == {"alpha": 0.5, "beta": 1.5, "beam_width": 100}


BEAM = {"version": 1, "decoder": "beam"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "expected an object"),
        ({"alpha": 0.5}, "version 1"),
        ({"version": 2, "decoder": "beam"}, "version 1"),
        ({"version": 1, "decoder": "viterbi"}, "viterbi"),
        ({"version": 1, "decoder": "beam", "options": []}, "an object"),
        (BEAM | {"options": {"alhpa": 1}}, "alhpa"),
        (BEAM | {"options": {"alpha": "1"}}, "alpha is '1'"),
        (BEAM | {"options": {"alpha": True}}, "alpha is True"),
        (BEAM | {"options": {"beam_width": 0}}, "beam_width 0"),
        (BEAM | {"options": {"beam_width": 1.5}}, "beam_width is 1.5"),
        (BEAM | {"options": {"hotwords": ["changi"]}}, "hotwords"),
        (BEAM | {"options": {"hotwords": [{"word": "changi"}]}}, "hotwords"),
        (BEAM | {"options": {"lm": 7}}, "lm is 7"),
        (BEAM | {"options": {"lm": []}}, "names no language model"),
        (BEAM | {"options": {"lm": ["a.arpa"]}}, "lm has 'a.arpa'"),
        (BEAM | {"options": {"lm": [{"path": "a", "wait": 1}]}}, "'wait'"),
        (BEAM | {"options": {"lm": [{"path": "a", "weight": "x"}]}}, "weight 'x'"),
        (BEAM | {"options": {"unigrams": ["a"]}}, "unigrams is"),
        (BEAM | {"options": {"hotwords": [{"text": 5}]}}, "a hotword is 5"),
        (BEAM | {"options": {"hotwords": [{"text": "a", "weight": "x"}]}}, "weight 'x'"),
        (BEAM | {"decoder": "pyctcdecode", "options": {"lm_case": "upper"}}, "options lm_case"),
        (BEAM | {"tuning": 5}, "tuning"),
    ],
    ids=str,
)
def test_a_mistake_in_a_preset_is_named(path, data, says):
    path.write_text(json.dumps(data))
    with pytest.raises(DecoderError, match=says) as caught:
        read_preset(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"{"])
def test_what_is_no_preset_is_refused(path, content):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DecoderError, match="preset"):
        read_preset(path)
