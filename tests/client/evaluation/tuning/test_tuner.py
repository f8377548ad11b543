"""``tune`` as a function, against a scripted server."""

from client.decoding import BeamOptions
from client.evaluation import AcousticOptions, Space, TuningOptions, tune
from tests.client.evaluation.tuning.support import write_arpa, write_wav
from tests.client.support import infer_reply, scripted_server


def test_entries_are_tuned_on_as_a_manifest_is_and_failures_are_told(tmp_path):
    write_wav(tmp_path / "a.wav")
    names = ("a.wav", "gone.wav")
    entries = [{"audio_filepath": str(tmp_path / name), "text": "cat"} for name in names]
    space = Space(BeamOptions(write_arpa(tmp_path)))
    options = TuningOptions(
        trials=1, threads=1, acoustics=AcousticOptions(cache=tmp_path / "cache")
    )
    with scripted_server(lambda *_: infer_reply("cat")) as url:
        held_out = iter(entries[:1])
        tuning = tune(iter(entries), space, url, "demo", held_out, options, warn=lambda _: None)
    document = tuning.as_json()
    assert document["tuned_on"]["utterances"] == document["held_out"]["utterances"] == 1
    (failure,) = document["failures"]
    assert (failure["line"], failure["name"]) == (2, entries[1]["audio_filepath"])
