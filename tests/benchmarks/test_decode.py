"""``python -m benchmarks decode``: decoders that agree, and figures that say what was measured."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.commands import decode
from benchmarks.decoders.comparison import compare, figures
from benchmarks.decoders.flashlight import spellings
from benchmarks.decoders.ours import memory, two_threads
from benchmarks.decoders.peers import OURS, PEERS
from benchmarks.decoders.settings import (
    TEMPERATURE,
    Setting,
    as_doubtful,
    flattened,
    phrases,
    said_words,
    settings,
)
from benchmarks.decoders.speech import Speech, describe_speech
from benchmarks.generated_speech import GeneratedSpeech
from benchmarks.measurement import Speed
from client.decoding import BeamDecoder, BeamOptions, Hotword
from tests.benchmarks.test_generated_speech import CLEAN
from tests.client.support import ARPA, CONTRACT, peaky, tokens_of


@pytest.fixture(scope="module")
def speech():
    return GeneratedSpeech().first(6)


@pytest.fixture(scope="module")
def options(speech, tmp_path_factory):
    return BeamOptions(lm=write_arpa(speech.references, tmp_path_factory.mktemp("lm")))


def write_arpa(texts, folder):
    """A language model to which all words of the texts are alike."""
    words = sorted({word for text in texts for word in text.split()})
    unigrams = [f"-2.0\t{word}\t0" for word in ("<unk>", "<s>", "</s>", *words)]
    counts = ("\\data\\", f"ngram 1={len(unigrams)}", "ngram 2=1", "")
    bigrams = ("", "\\2-grams:", f"-1.0\t<s> {words[0]}", "", "\\end\\", "")
    path = folder / "words.arpa"
    path.write_text("\n".join((*counts, "\\1-grams:", *unigrams, *bigrams)))
    return path


@pytest.mark.parametrize("name", PEERS)
def test_every_decoder_reads_clean_speech_as_it_was_said(name, tmp_path):
    speech = GeneratedSpeech(CLEAN).first(5)
    options = BeamOptions(lm=write_arpa(speech.references, tmp_path))
    decoder = PEERS[name](speech.contract, options)
    assert [decoder.decode(log_probs) for log_probs in speech.log_probs] == speech.references


@pytest.mark.parametrize("name", PEERS)
def test_every_decoder_reads_characters_and_ends_the_last_word(name, tmp_path):
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    decoder = PEERS[name](CONTRACT, BeamOptions(lm=path))
    log_probs = peaky(tokens_of("cat dog cot"), CONTRACT.blank + 1)
    assert decoder.decode(log_probs) == "cat dog cot"


def test_a_word_is_spelled_in_every_way_that_the_pieces_allow():
    assert spellings("▁aba", ["▁a", "b", "a", "ba", "▁ab"]) == [[0, 3], [4, 2], [0, 1, 2]]
    assert spellings("▁x", ["▁a", "x"]) == []


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("pyctcdecode", "pyctcdecode"),
        ("ctc_beam_decoder", "ctc-beam-decoder"),
        ("flashlight", "flashlight-text"),
    ],
)
def test_a_decoder_that_is_not_installed_is_left_out_by_name(
    monkeypatch, speech, options, package, name
):
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    comparison = compare(Setting("3-gram", speech, options), rounds=1)
    assert f"pip install {name}" in comparison.left_out[name]
    assert [each.name for each in comparison.decoders] == [n for n in PEERS if n != name]


@pytest.mark.parametrize("name", [name for name in PEERS if name != "flashlight-text"])
def test_every_decoder_favours_hotwords(name):
    heard = peaky(tokens_of("cat"), CONTRACT.blank + 1)
    a, o = (CONTRACT.vocabulary.index(letter) for letter in "ao")
    heard[2, [a, o]] = np.log([0.55, 0.44])
    texts = [
        PEERS[name](CONTRACT, BeamOptions(hotwords=hotwords)).decode(heard)
        for hotwords in ((), (Hotword("cot"),))
    ]
    assert texts == ["cat", "cot"]


@pytest.mark.parametrize("lacking", [{"lm": None}, {"hotwords": (Hotword("a"),)}], ids=str)
def test_a_decoder_that_lacks_a_feature_is_left_out(speech, options, lacking):
    comparison = compare(Setting("x", speech.part(1), replace(options, **lacking)), rounds=1)
    assert "no hotwords" in comparison.left_out["flashlight-text"]


def test_words_are_counted():
    speed = Speed("x", 3, 1.0, 1.0, 1.0, 1.0, 1.0)
    found = figures(["a b", "a b c d"], ["a b", "a x c d"], speed)
    assert (found.errors, found.wer) == (1, pytest.approx(1 / 6))
    assert found.wer_interval[0] <= found.wer <= found.wer_interval[1]


def test_doubtful_audio_has_the_same_best_tokens_and_more_that_pass(speech):
    doubtful = as_doubtful(speech)
    before, after = np.concatenate(speech.log_probs), np.concatenate(doubtful.log_probs)
    assert after.dtype == np.float32
    assert np.exp(after).sum(axis=1) == pytest.approx(np.ones(len(after)), abs=1e-4)
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    assert (after >= -5).sum() > 2 * (before >= -5).sum()
    assert flattened(before, 1.0) == pytest.approx(before, abs=1e-4)
    assert TEMPERATURE > 1


def test_hotwords_are_of_the_language_or_can_be_written(speech):
    said = {word for text in speech.references for word in text.split()}
    few = said_words(speech, 20)
    assert len(few) == 20
    assert {hotword.text for hotword in few} <= said
    many = phrases(speech, 300)
    assert len({hotword.text for hotword in many}) == 300
    assert {len(hotword.text.split()) for hotword in many} == {1, 2, 3}
    known = [hotword for hotword in many if set(hotword.text.split()) <= said]
    assert 75 < len(known) < 225
    BeamDecoder(speech.contract, BeamOptions(hotwords=many))  # or it refuses them
    assert phrases(speech, 300) == many


def test_settings_differ_in_one_thing_each(speech, options):
    doubtful = as_doubtful(speech.part(2))
    found = {each.name: each for each in settings(speech, doubtful, options.lm)}
    assert found["3-gram"].options == options
    assert found["3-gram, beam 8"].options == replace(options, beam_width=8)
    assert found["no model"].options == BeamOptions()
    assert found["doubtful audio"].speech is doubtful
    assert len(found["doubtful audio, 20 hotwords"].options.hotwords) == 20
    for name in ("3-gram", "no model"):
        assert len(found[f"{name}, 1,000 hotwords"].options.hotwords) == 1000
        assert found[f"{name}, 1,000 hotwords"].decoders == (OURS,)


def test_ours_is_timed_in_threads_and_its_memory_is_looked_at_twice(speech, options):
    setting = Setting("3-gram", speech.part(2), options)
    one, two = two_threads(setting, rounds=1)
    assert (one.name, one.ratio, two.name) == ("1 thread", 1, "2 threads")
    assert two.ratio == pytest.approx(one.wall_median_s / two.wall_median_s)
    grown = memory(setting, 1_010)
    assert grown.utterances == 1_010
    assert grown.first_mb > 10
    assert grown.last_mb - grown.first_mb < 50


def test_the_facts_are_counted_over_all_frames(tmp_path):
    contract = replace(CONTRACT, vocabulary=("a", "b"), blank=2)
    probabilities = [[0.001, 0.001, 0.998], [0.3, 0.1, 0.6], [0.9, 0.05, 0.05], [0.5, 0.499, 0.001]]
    log_probs = np.log(np.array(probabilities, np.float32))
    speech = Speech(contract, [log_probs[:3], log_probs[3:]], ["a", "b"])
    facts = describe_speech("four frames", speech, write_arpa(["a b"], tmp_path), -5.0)
    assert (facts.utterances, facts.words, facts.frames, facts.tokens) == (2, 2, 4, 3)
    assert facts.audio_s == pytest.approx(4 * contract.frame_stride_s)
    assert (facts.blank_share, facts.only_blank_share) == (0.5, 0.25)
    assert facts.candidates_per_frame == (1 + 3 + 3 + 2) / 4
    assert (facts.greedy_errors, facts.greedy_wer) == (1, 0.5)
    assert facts.perplexity == pytest.approx(10 ** ((1 + 2 + 2 + 2) / 4))  # words and ends


@pytest.fixture
def _small(monkeypatch):
    monkeypatch.setattr(decode, "SHORT", decode.Effort(utterances=2, rounds=1, in_memory=2))


@pytest.mark.usefixtures("_small")
def test_generated_speech_is_compared_in_tables_in_json_and_in_a_chart(tmp_path, capsys):
    output, chart = tmp_path / "decode.json", tmp_path / "decode.png"
    assert main(["decode", "--short", "--output", str(output), "--plot", str(chart)]) == 0
    printed = capsys.readouterr().out
    report = json.loads(output.read_text())
    assert report["command"].startswith("python -m benchmarks decode --short")
    assert {"numpy", "nemo-ctc-search", "kenlm", *PEERS} - {OURS} <= set(report["packages"])
    [measured] = report["measured"]
    assert measured["speech"]["utterances"] == 2
    assert measured["speech"]["tokens"] == 1025
    assert measured["doubtful"]["candidates_per_frame"] > 2
    assert measured["options"]["beam_width"] == 100
    first, *_ = measured["settings"]
    assert [each["name"] for each in first["decoders"]] == list(PEERS)
    assert first["decoders"][0]["speed"]["ratio"] == 1
    assert first["decoders"][-1]["wer"] <= measured["speech"]["greedy_wer"]
    for setting in measured["settings"]:
        assert setting["setting"] in printed
        assert OURS in {each["name"] for each in setting["decoders"]}
        for each in setting["decoders"]:
            assert f"{each['speed']['rtfx']:,.0f}" in printed
    assert len(measured["threads"]) == 2
    assert "by the clock" in printed
    assert chart.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("_small")
def test_a_servers_model_is_measured_too(monkeypatch, speech, options, tmp_path, capsys):
    monkeypatch.setattr(decode, "load_speech", lambda *_: speech.part(2))
    output = tmp_path / "decode.json"
    arguments = "--short --url x --model net --manifest m.jsonl".split()
    command = ["decode", *arguments, "--lm", str(options.lm), "--output", str(output)]
    assert main(command) == 0
    names = [each["speech"]["name"] for each in json.loads(output.read_text())["measured"]]
    assert names == ["generated speech", "net, m.jsonl"]
    assert "net, m.jsonl" in capsys.readouterr().out


def test_without_lmplz_the_error_tells_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KENLM_BIN", str(tmp_path))
    assert main(["decode", "--short"]) == 1
    assert "make kenlm-tools" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--lm x.arpa", "--model, --manifest, --lm: are for --url"),
        ("--url x --lm x.arpa", "--url: needs --model, --manifest"),
        ("--rounds 3", "unrecognized arguments"),
    ],
)
def test_a_wrong_command_line_is_explained(capsys, arguments, message):
    with pytest.raises(SystemExit) as usage:
        main(["decode", *arguments.split()])
    assert usage.value.code == 2
    assert message in capsys.readouterr().err
