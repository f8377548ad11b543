"""The committed demo files follow from the recipe, and nothing held out is in training."""

import gzip
import json
import re
import tarfile

import pytest
import soundfile

from client.language_models import read_words
from demo.clips import CLIPS, clip_sentences
from demo.paths import DEMO, SPEECH_DATA
from demo.prepare import HELD_OUT_TAKES, digit_takes, training_sentences
from demo.sentences import sentences
from demo.synthesis import CLIP_VOICES, SAMPLE_RATE_HZ, TRAINING_VOICES
from tests.needs import needs_speech

AN4 = SPEECH_DATA / "an4"
DIGITS = SPEECH_DATA / "fsdd"
MANIFEST = DEMO / "clips" / "manifest.jsonl"


@pytest.fixture(scope="module")
def clips():
    return [json.loads(line) for line in MANIFEST.read_text().splitlines()]


def test_sentences_are_the_same_for_the_same_seed_and_spelled_in_the_models_characters():
    made = sentences(500, seed=7)
    assert made == sentences(500, seed=7)
    assert made != sentences(500, seed=8)
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", text) for text in made)


def test_the_committed_clips_say_what_their_generator_says(clips):
    assert [clip["text"] for clip in clips] == clip_sentences()
    assert len(clips) == CLIPS


def test_every_clip_is_as_long_as_its_manifest_says(clips):
    for clip in clips:
        info = soundfile.info(DEMO / "clips" / clip["audio_filepath"])
        assert info.samplerate == SAMPLE_RATE_HZ
        assert info.frames / SAMPLE_RATE_HZ == pytest.approx(clip["duration"], abs=1e-3)


def test_no_clip_has_a_voice_or_a_sentence_of_the_synthetic_training_speech(clips):
    assert not set(CLIP_VOICES) & set(TRAINING_VOICES)
    assert not {clip["text"] for clip in clips} & set(training_sentences())
    assert {clip["voice"] for clip in clips} <= {f"{v.engine} {v.name}" for v in CLIP_VOICES}


@needs_speech(AN4)
def test_no_clip_has_a_sentence_of_an4s_training_list(clips):
    lines = (AN4 / "train_manifest.json").read_text().splitlines()
    assert not {clip["text"] for clip in clips} & {json.loads(line)["text"] for line in lines}


@needs_speech(DIGITS)
def test_takes_of_digits_are_either_trained_on_or_held_out():
    training, held_out = digit_takes()
    assert training
    assert set(training) == set(held_out)
    for speaker, paths in held_out.items():
        assert {int(path.stem.rsplit("_", 1)[1]) for path in paths} == set(HELD_OUT_TAKES)
        assert not set(paths) & set(training[speaker])


def test_the_language_model_is_a_3_gram_of_words_that_the_model_can_write():
    with gzip.open(DEMO / "lm.arpa.gz", "rt") as arpa:
        text = arpa.read()
    assert "\\3-grams:" in text
    assert "\\4-grams:" not in text
    words = read_words(DEMO / "lm.arpa.gz")
    assert {"seven", "september", "rubout", "x"} <= words
    assert all(re.fullmatch(r"[a-z']+", word) for word in words)


def test_the_checkpoint_has_80_features_and_at_most_one_and_a_half_million_parameters():
    with tarfile.open(DEMO / "demo.nemo") as archive:
        names = {name.removeprefix("./"): name for name in archive.getnames()}
        config = archive.extractfile(names["model_config.yaml"]).read().decode()
        weights = archive.getmember(names["model_weights.ckpt"]).size
    assert "features: 80" in config
    assert weights <= 1_500_000 * 4
    assert "manifest_filepath" not in config  # no path of the machine that trained it
