"""Small checkpoints of every family, each exported once per session."""

import warnings

import pytest
import torch

from tests.export import models
from tests.export.support import export


@pytest.fixture(scope="session", autouse=True)
def _once_without_onednn():
    """In each process torch warns once that oneDNN has no LSTM with projections."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.nn.LSTM(2, 2, proj_size=1)(torch.zeros(1, 1, 2))


@pytest.fixture(scope="session")
def quartznet():
    return models.quartznet()


@pytest.fixture(scope="session", params=[*models.SMALL])
def exported(request, tmp_path_factory):
    checkpoint = models.small(request.param)
    return export(checkpoint, tmp_path_factory.mktemp(checkpoint.name) / "repository")


@pytest.fixture(scope="session")
def nemo_file(quartznet, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "small.nemo"
    quartznet.model.save_to(str(path))
    return path
