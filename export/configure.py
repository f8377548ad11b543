"""Writes the configurations of a pipeline, and replaces those of a published model.

Serving can change without the checkpoint: graphs and verification stay valid, because the
computation does not change.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tritonclient.grpc.model_config_pb2 import ModelConfig

from client.wire.contract import LOG_PROBS, Contract
from export.config import (
    MAX_BATCH_SIZE,
    accelerated_config,
    add_warmup,
    config_text,
    ensemble_config,
    model_config,
    model_name,
    route_configs,
    routes,
    set_version,
    step_name,
    tensorrt_config,
)
from export.engine.profiles import profiles
from export.engine.switch import ONNXRUNTIME, TENSORRT, config_for, serving_backend, switch
from export.errors import RepositoryError
from export.layout import version_folder
from export.record import check_models, read_record, write_json
from export.repository import (
    check_replaceable,
    publish,
    read_config,
    read_contract,
    staging,
    write_config,
)
from export.serving import Serving
from export.tensors import DECODER, ENCODER, Model, Pipeline


@dataclass(frozen=True)
class Layout:
    """The facts behind the configurations. ``accelerator`` is None or ``"tensorrt"``.

    ``obstacles`` say for each role why TensorRT cannot run the graph, if it cannot.
    """

    name: str
    pipeline: Pipeline
    contract: Contract
    serving: Serving
    accelerator: str | None
    obstacles: Mapping[str, Any]

    def routed(self) -> "Layout":
        """The same with the length ranges in the contract."""
        found = routes(self.name, self.serving, self.contract)
        return replace(self, contract=replace(self.contract, routes=found))


def write_configs(folder: Path, layout: Layout) -> None:
    """Write every configuration into ``folder``, where the graphs are, and link those of routes."""
    name, serving, contract = layout.name, layout.serving, layout.contract
    for model in layout.pipeline.models:
        config = _serving_config(layout, model)
        add_warmup(config, model, contract)
        _write(folder, config, contract)
        if not layout.obstacles[model.role]:
            plan_config = config_for(folder / model_name(name, model), TENSORRT)
            plan_config.parent.mkdir()
            config = tensorrt_config(name, model, serving)
            add_warmup(config, model, contract)
            set_version(config, contract.model_version)
            plan_config.write_text(config_text(config), encoding="utf-8")
    for route in contract.routes:
        preprocessor, ensemble = route_configs(name, layout.pipeline, serving, route)
        add_warmup(preprocessor, layout.pipeline.preprocessor, contract)
        graphs = version_folder(folder / model_name(name, layout.pipeline.preprocessor))
        _link_tree(graphs, folder / preprocessor.name / graphs.name)
        _write(folder, preprocessor, contract)
        _write(folder, ensemble, contract)
    _write(folder, ensemble_config(name, layout.pipeline, contract), contract)


def _write(folder: Path, config: ModelConfig, contract: Contract) -> None:
    set_version(config, contract.model_version)
    write_config(folder, config)


def reconfigure(repository: Path, name: str, serving: Serving) -> Contract:
    """Change how the published model ``name`` is served; returns its new contract.

    TensorRT plans go on serving. Raises ``RepositoryError``; the repository is then unchanged.
    """
    record = read_record(repository, name)
    check_models(repository, name)
    layout = Layout(
        name,
        _published_pipeline(repository, name),
        read_contract(repository, name),
        serving,
        record["accelerator"],
        {model["role"]: model["tensorrt"]["obstacles"] for model in record["models"].values()},
    ).routed()
    _check_plans(repository, layout)
    check_replaceable(repository, layout.contract.models(name), name)
    with staging(repository) as staged:
        folders = [model_name(name, model) for model in layout.pipeline.models]
        for folder in folders:
            graphs = version_folder(repository / folder)
            _link_tree(graphs, staged / folder / graphs.name)
        write_configs(staged, layout)
        for folder in folders:
            switch(staged / folder, serving_backend(repository / folder))
        write_json(staged, name, {**record, "serving": asdict(serving)})
        publish(staged, repository, name)
    return layout.contract


def _check_plans(repository: Path, layout: Layout) -> None:
    folders = [repository / model_name(layout.name, model) for model in layout.pipeline.models]
    plans = [folder.name for folder in folders if serving_backend(folder) == TENSORRT]
    if layout.serving.cpu and plans:
        raise RepositoryError(
            f"{', '.join(plans)} run as TensorRT plans, on GPUs alone: choose serving for GPUs, or"
            f" switch to the backend {ONNXRUNTIME} first",
            path=repository / plans[0],
            options=("serving",),
        )


def _serving_config(layout: Layout, model: Model) -> ModelConfig:
    if layout.accelerator != TENSORRT or layout.obstacles[model.role]:
        return model_config(layout.name, model, layout.serving)
    shapes = profiles(model, layout.contract, MAX_BATCH_SIZE)
    precision = layout.contract.precision
    return accelerated_config(layout.name, model, layout.serving, shapes, precision)


def _published_pipeline(repository: Path, name: str) -> Pipeline:
    encoder = read_config(repository, step_name(name, ENCODER))
    decoder = read_config(repository, step_name(name, DECODER))
    log_probs = next(output for output in decoder.output if output.name == LOG_PROBS)
    top_k = read_contract(repository, name).top_k
    return Pipeline.of(encoder.input[0].dims[0], decoder.input[0].dims[0], log_probs.dims[1], top_k)


def _link_tree(source: Path, target: Path) -> None:
    """Hard links to the files, or copies where the file system has no links."""

    def link(old: str, new: str) -> None:
        try:
            os.link(old, new)
        except OSError:
            shutil.copy2(old, new)

    shutil.copytree(source, target, copy_function=link)
