"""Repositories as a build leaves them, with graphs that the stand-in for TensorRT reads."""

import hashlib
import json
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.engine.profiles import Profile
from export.record import BuildRecord, ModelRecord, write_record

NAME = "small"
PREPROCESSOR, ENCODER, DECODER = MODELS = tuple(
    f"{NAME}_{role}" for role in ("preprocessor", "encoder", "decoder")
)
PROFILES = {
    "features": Profile((1, 4, 2), (2, 4, 20), (3, 4, 50)),
    "features_length": Profile((1, 1), (2, 1), (3, 1)),
}
# A softmax in half precision between casts, behind a product with weights.
GRAPH = {
    "inputs": {"features": "FLOAT", "features_length": "INT64"},
    "layers": {
        "to_half": ["CAST", ["features"], "half", "HALF"],
        "weights": ["CONSTANT", [], "weight", "HALF"],
        "product": ["MATRIX_MULTIPLY", ["half", "weight"], "logits"],
        "softmax": ["SOFTMAX", ["logits"], "probabilities"],
        "log": ["UNARY", ["probabilities"], "log_half"],
        "to_float": ["CAST", ["log_half"], "encoded", "FLOAT"],
    },
    "outputs": ["encoded"],
    "overflow": [],
}


def write_repository(repository: Path, precision: str = "fp16", **graphs) -> Path:
    """An encoder and a decoder that TensorRT can run, and a preprocessor that it cannot.

    ``graphs`` replace ``GRAPH`` by the model's role.
    """
    models = {}
    for model in MODELS:
        role = model.removeprefix(f"{NAME}_")
        folder = repository / model
        (folder / "1").mkdir(parents=True)
        (folder / "configs").mkdir()
        graph = json.dumps(GRAPH | graphs.get(role, {})).encode()
        (folder / "1" / "model.onnx").write_bytes(graph)
        (folder / "config.pbtxt").write_text(config(model, "onnxruntime"))
        obstacles = ["input audio_signal is INT16"] if model == PREPROCESSOR else []
        if not obstacles:
            (folder / "configs" / "tensorrt.pbtxt").write_text(config(model, "tensorrt"))
        models[model] = ModelRecord(
            role=role,
            files={"model.onnx": hashlib.sha256(graph).hexdigest()},
            kept_in_fp32=(),
            tensorrt={
                "obstacles": obstacles,
                "profiles": {name: profile.to_json() for name, profile in PROFILES.items()},
            },
        )
    (repository / NAME).mkdir()
    record = BuildRecord(
        name=NAME,
        date="2026-11-23T20:00:00Z",
        checkpoint="small",
        checkpoint_sha256="0" * 64,
        precision=precision,
        accelerator=None,
        serving={},
        tools={},
        manifests={},
        models=models,
        gate={},
    )
    write_record(repository, record)
    return repository


def config(model, backend):
    return text_format.MessageToString(ModelConfig(name=model, backend=backend))


def backends(repository):
    """What each model's config.pbtxt says, by model."""
    texts = {model: (repository / model / "config.pbtxt").read_text() for model in MODELS}
    return {model: text_format.Parse(text, ModelConfig()).backend for model, text in texts.items()}


def contents(folder):
    """Every file below ``folder``."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
