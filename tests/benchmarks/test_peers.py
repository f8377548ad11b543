"""``python -m benchmarks peers``: peers' files, who takes part, and the command on the demo."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks.__main__ import main
from benchmarks.commands.peers import verdict
from benchmarks.errors import ModelError
from benchmarks.measurement import Speed
from benchmarks.peers.audio import utterances_of
from benchmarks.peers.contest import Pace
from benchmarks.peers.entries import Settings, entries, prepared_model
from benchmarks.peers.formats import (
    features_refused,
    join,
    set_metadata,
    sherpa_metadata,
    write_onnx_asr,
    write_tokens,
)
from benchmarks.peers.layout import (
    GRAPH_FILE,
    ONNX_ASR,
    PROJECT,
    SHERPA_ONNX,
    TOKENS_FILE,
    Prepared,
    form,
    read_prepared,
    write_prepared,
)
from benchmarks.peers.processes import Start, Worker
from benchmarks.peers.worker import by_length, in_batches
from benchmarks.pipeline import Pipeline, RuntimeOptions, graph_path, host, noise, read_contract
from client.audio import load_audio
from client.decoding import GreedyDecoder
from demo.paths import DEMO

PEERS_PYTHON = PROJECT / ".venv-peers" / "bin" / "python"
CLIPS = DEMO / "clips" / "manifest.jsonl"
NEMO_FEATURES = {
    "normalize": "per_feature",
    "window_size": 0.025,
    "window_stride": 0.01,
    "features": 80,
}
PREPARED = Prepared("one", "/checkpoint.nemo", "0" * 64, 80, 2, {})


def joined(repository, name):
    return join(*(graph_path(repository, name, role) for role in ("encoder", "decoder")))


def test_tokens_are_lines_of_two_words_and_a_space_is_written_as_a_mark(tmp_path):
    write_tokens(tmp_path / "tokens.txt", [" ", "a", "▁b"])
    lines = (tmp_path / "tokens.txt").read_text().splitlines()
    assert [line.split(" ") for line in lines] == [
        ["▁", "0"],
        ["a", "1"],
        ["▁b", "2"],
        ["<blk>", "3"],
    ]


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({}, set()),
        ({"features": 128}, set()),
        ({"features": 64}, {ONNX_ASR}),
        ({"window_size": 0.02}, {ONNX_ASR, SHERPA_ONNX}),
        ({"normalize": "all_features"}, {ONNX_ASR, SHERPA_ONNX}),
    ],
)
def test_features_that_a_peer_cannot_compute_are_refused_with_a_reason(settings, refused):
    reasons = features_refused(NEMO_FEATURES | settings)
    assert set(reasons) == refused
    assert all("the checkpoint" in reason for reason in reasons.values())


def test_the_one_graph_computes_what_the_two_do_under_the_names_of_peers(repository):
    model = joined(repository, "one")
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.input] == ["audio_signal", "length"]
    pipeline = Pipeline(repository, "one", RuntimeOptions(threads=1))
    utterances = [noise(3200, seed) for seed in range(2)]
    features = host(pipeline.features(utterances), ("features", "features_length"))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (logprobs,) = session.run(
        ["logprobs"],
        {"audio_signal": features["features"], "length": features["features_length"][:, 0]},
    )
    (expected,) = host(pipeline.run(utterances), ("log_probs",)).values()
    np.testing.assert_allclose(logprobs, expected, atol=1e-6)


def test_metadata_replaces_what_was_there(repository):
    model = joined(repository, "one")
    onnx.helper.set_model_props(model, {"old": "1"})
    set_metadata(model, sherpa_metadata(4, 2, "EncDecCTCModel"))
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert "old" not in found
    assert found["vocab_size"] == "4"
    assert found["subsampling_factor"] == "2"


def test_a_record_of_preparation_is_read_as_it_was_written(tmp_path):
    assert read_prepared(tmp_path) is None
    write_prepared(tmp_path, PREPARED)
    assert read_prepared(tmp_path) == PREPARED


def test_what_was_not_prepared_or_is_of_another_checkpoint_is_an_error(repository, tmp_path):
    settings = Settings(tmp_path, repository, "one")
    with pytest.raises(ModelError, match="is not prepared"):
        prepared_model(settings)
    (tmp_path / "one").mkdir()
    write_prepared(tmp_path / "one", replace(PREPARED, checkpoint_sha256="1" * 64))
    with pytest.raises(ModelError, match="of another checkpoint"):
        prepared_model(settings)


def test_a_peer_takes_batches_of_nemos_graph_or_of_ours_where_it_cannot_run_that(repository):
    settings = Settings(PROJECT, repository, "one", batches=(4,))
    kinds = (ONNX_ASR,)
    everything = entries(replace(settings, kinds=kinds), PREPARED)
    assert [(entry.name, len(entry.tasks)) for entry in everything] == [
        ("onnx-asr", 2),
        ("onnx-asr, our graph", 1),
    ]
    refused = {form(ONNX_ASR, "nemo"): "no length"}
    (ours,) = entries(replace(settings, kinds=kinds), replace(PREPARED, refused=refused))
    assert (ours.name, len(ours.tasks)) == ("onnx-asr, our graph", 2)


def test_every_line_of_the_tables_has_a_name_of_its_own(repository):
    settings = Settings(PROJECT, repository, "one", batches=(4, 8), precisions=("two",))
    names = [task.name for entry in entries(settings, PREPARED) for task in entry.tasks]
    assert len(set(names)) == len(names)
    assert "ours, fp32 (two), 4 in flight" in names


def test_batches_are_cut_in_order_and_lengths_are_sorted():
    assert in_batches([3, 1, 2], 2, lambda batch: [len(batch)] * len(batch)) == [2, 2, 1]
    assert by_length([30, 10, 20]) == [1, 2, 0]


def test_the_verdict_names_the_fastest_other_and_who_disturbed():
    def pace(task, rtfx, idle=0.0):
        return Pace(task, Speed(task, 1, 1.0, rtfx, rtfx, rtfx, 1.0), 1.0, 1.0, 0.5, idle, None)

    paces = [pace("NeMo", 10), pace("sherpa-onnx", 20), pace("ours", 15), pace("ours, …", 30)]
    assert verdict(paces).startswith(
        "ours: 0.75 times the fastest other, sherpa-onnx; ours, …: 1.50 times"
    )
    assert "figures are wrong" not in verdict(paces)
    assert "figures are wrong" in verdict([pace("NeMo", 10, idle=0.5)])


@pytest.fixture(scope="module")
def prepared_demo(demo_repository, tmp_path_factory):
    """The demo as preparation leaves it, but for what only NeMo can make."""
    folder = tmp_path_factory.mktemp("peers")
    contract = read_contract(demo_repository, "demo")
    model = joined(demo_repository, "demo")
    set_metadata(model, sherpa_metadata(len(contract.vocabulary), 2, "EncDecCTCModel"))
    for peer in (ONNX_ASR, SHERPA_ONNX):
        target = folder / "demo" / form(peer, "ours")
        target.mkdir(parents=True)
        onnx.save(model, target / GRAPH_FILE)
        if peer == ONNX_ASR:
            write_onnx_asr(target, contract.vocabulary, 80, 2)
        else:
            write_tokens(target / TOKENS_FILE, contract.vocabulary)
    refused = {form(peer, "nemo"): "not made here" for peer in (ONNX_ASR, SHERPA_ONNX)}
    sha256 = contract.checkpoint_sha256
    prepared = replace(PREPARED, name="demo", checkpoint_sha256=sha256, refused=refused)
    write_prepared(folder / "demo", prepared)
    return folder


@pytest.mark.parametrize("peer", [ONNX_ASR, SHERPA_ONNX])
def test_peers_read_the_files_and_transcribe_as_we_do_alone_and_in_batches(
    peer, prepared_demo, demo_repository
):
    audio = utterances_of(CLIPS, prepared_demo / "audio")
    engine = f"benchmarks.peers.engines.{peer.replace('-', '_')}"
    settings = {"folder": str(prepared_demo / "demo" / form(peer, "ours")), "features": 80}
    with Worker(peer, Start(PEERS_PYTHON, engine, settings, 1)) as worker:
        alone = worker.transcribe(audio.files, {"batch": 1})
        assert worker.transcribe(audio.files, {"batch": 4}) == alone
    pipeline = Pipeline(demo_repository, "demo", RuntimeOptions(threads=1))
    decoder = GreedyDecoder(read_contract(demo_repository, "demo"))
    ours = []
    for file in audio.files:
        samples = load_audio(file, 16_000)
        (tokens,) = host(pipeline.run([samples]), ("tokens",)).values()
        ours.append(decoder.decode(tokens[0]).text)
    same = sum(text.split() == own.split() for text, own in zip(alone, ours, strict=True))
    # sherpa-onnx computes features that are not quite NeMo's.
    assert same >= (len(ours) if peer == ONNX_ASR else len(ours) // 2)


def test_the_command_prints_writes_and_draws(prepared_demo, demo_repository, tmp_path, capsys):
    output, chart = tmp_path / "peers.json", tmp_path / "peers.png"
    arguments = ["demo", "--folder", str(prepared_demo), "--repository", str(demo_repository)]
    arguments += ["--speech", str(CLIPS), "--manifest", str(CLIPS), "--clips", "3"]
    arguments += ["--rounds", "1", "--batches", "4", "--only", "loops", "ours"]
    arguments += ["--in-flight", "2", "16"]
    assert main(["peers", *arguments, "--output", str(output), "--plot", str(chart)]) == 0
    printed = capsys.readouterr().out
    report = json.loads(output.read_text())
    tasks = [pace["task"] for pace in report["paces"]]
    assert tasks == [
        "ONNX Runtime, our graphs, one by one",
        "ONNX Runtime, our graphs, 4 first come",
        "ONNX Runtime, our graphs, 4 by length",
        "ours, fp32, 2 in flight",
        "ours, fp32, 16 in flight",
    ]
    assert all(task in printed for task in tasks)
    errors = {row["task"]: (row["errors"], row["words"]) for row in report["accuracies"]}
    assert set(errors.values()) == {(7, 119)}
    assert {row["changed"] for row in report["accuracies"]} == {0.0, None}
    assert "nvidia-pytriton" in report["versions"]["ours, fp32"]
    assert report["settings"]["threads"] == 2
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_a_model_that_is_not_prepared_is_an_error(repository, tmp_path, capsys):
    arguments = ["one", "--folder", str(tmp_path), "--repository", str(repository)]
    assert main(["peers", *arguments, "--speech", str(CLIPS)]) == 1
    assert "benchmarks.peers.prepare" in capsys.readouterr().err
