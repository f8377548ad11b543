"""``python -m benchmarks decode``: decoders that agree, and figures that say what was measured."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.commands import decode
from benchmarks.decoders.comparison import (
    Decoding,
    Trial,
    at_equal_errors,
    fastest_within,
    figures,
    measure,
)
from benchmarks.decoders.flashlight import spellings
from benchmarks.decoders.peers import PEERS
from benchmarks.decoders.speech import Speech, describe_speech
from benchmarks.generated_speech import GeneratedSpeech
from benchmarks.measurement import Speed
from client.decoding import BeamOptions
from tests.benchmarks.test_generated_speech import CLEAN
from tests.client.support import ARPA, CONTRACT, peaky, tokens_of


@pytest.fixture(scope="module")
def speech():
    return GeneratedSpeech().first(12)


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
    ("package", "name"), [("pyctcdecode", "pyctcdecode"), ("flashlight", "flashlight-text")]
)
def test_a_decoder_that_is_not_installed_is_left_out_by_name(
    monkeypatch, speech, options, package, name
):
    for module in [module for module in sys.modules if module.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    comparison = measure(speech, options, beam_widths=(), rounds=1)
    assert f"pip install {name}" in comparison.left_out[name]
    assert [each.name for each in comparison.same_settings] == [n for n in PEERS if n != name]


def test_words_are_counted_and_times_are_medians_of_the_last_rounds():
    decoding = Decoding(peer=None, log_probs=[])
    decoding.texts = ["a b", "a x c d"]
    decoding.times_s = [[9.0, 9.0], [0.001, 0.003], [0.002, 0.009], [0.003, 0.004]]
    speed = Speed("x", 3, 1.0, 1.0, 1.0, 1.0, 1.0)
    found = figures(["a b", "a b c d"], decoding, speed, beam_width=5)
    assert (found.errors, found.wer) == (1, pytest.approx(1 / 6))
    assert found.wer_interval[0] <= found.wer <= found.wer_interval[1]
    assert (found.mean_ms, found.p50_ms) == (pytest.approx(3), pytest.approx(3))
    assert found.p99_ms == pytest.approx(3.98)


TRIALS = [
    Trial("ours", 8, errors=12, time_s=1.0),
    Trial("ours", 64, errors=10, time_s=3.0),
    Trial("ours", 100, errors=10, time_s=4.0),
    Trial("quick", 8, errors=11, time_s=0.1),
    Trial("quick", 64, errors=9, time_s=5.0),
    Trial("poor", 64, errors=11, time_s=0.1),
]


def test_at_equal_errors_the_fastest_counts_and_who_has_more_is_named():
    widths, left_out = at_equal_errors(TRIALS, beam_width=100)
    assert widths == {"ours": 64, "quick": 64}
    assert left_out == {"poor with no more than 10 word errors": "it has 11 or more"}
    assert fastest_within(TRIALS, 9) == {"quick": TRIALS[4]}


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


def test_generated_speech_is_compared_in_tables_in_json_and_in_a_chart(tmp_path, capsys):
    output, chart = tmp_path / "decode.json", tmp_path / "decode.png"
    arguments = "--generated --utterances 6 --rounds 2 --scan 4 8 --beam-width 8"
    files = ["--output", str(output), "--plot", str(chart)]
    assert main(["decode", *arguments.split(), *files]) == 0
    printed = capsys.readouterr().out
    report = json.loads(output.read_text())
    assert report["command"].startswith("python -m benchmarks decode --generated")
    assert {"numpy", "pyctcdecode", "kenlm", "flashlight-text"} <= set(report["packages"])
    assert report["settings"] == {
        "alpha": 0.5,
        "beta": 1.5,
        "beam_width": 8,
        "beam_prune_logp": -10.0,
        "token_min_logp": -5.0,
    }
    assert report["speech"]["utterances"] == 6
    assert report["speech"]["tokens"] == 1025
    assert [each["name"] for each in report["same_settings"]] == list(PEERS)
    assert report["same_settings"][0]["speed"]["ratio"] == 1
    ours = report["same_settings"][1]
    assert ours["wer"] <= report["speech"]["greedy_wer"]
    for each in report["equal_errors"]:
        assert each["errors"] <= ours["errors"]
        assert each["beam_width"] in {4, 8}
    assert report["left_out"] == {}
    for each in report["same_settings"]:
        assert f"{each['speed']['rtfx']:,.0f}" in printed
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_a_servers_model_is_measured_with_the_language_model_given(
    monkeypatch, speech, options, tmp_path, capsys
):
    monkeypatch.setattr(decode, "load_speech", lambda *_: speech)
    output = tmp_path / "decode.json"
    arguments = "--url x --model net --manifest m.jsonl --rounds 1 --scan".split()
    command = ["decode", *arguments, "--lm", str(options.lm), "--output", str(output)]
    assert main(command) == 0
    report = json.loads(output.read_text())
    assert report["speech"]["name"] == "net, m.jsonl"
    assert report["equal_errors"] == []
    assert "net, m.jsonl" in capsys.readouterr().out


def test_without_lmplz_the_error_tells_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KENLM_BIN", str(tmp_path))
    assert main(["decode", "--generated", "--utterances", "1"]) == 1
    assert "make kenlm-tools" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "--generated --url"),
        ("--generated --url x", "not allowed with"),
        ("--generated --lm x.arpa", "generated speech has its own"),
        ("--url x --lm x.arpa", "--url: needs --model, --manifest"),
        ("--generated --rounds 0", "expected a whole number above 0"),
    ],
)
def test_a_wrong_command_line_is_explained(capsys, arguments, message):
    with pytest.raises(SystemExit) as usage:
        main(["decode", *arguments.split()])
    assert usage.value.code == 2
    assert message in capsys.readouterr().err
