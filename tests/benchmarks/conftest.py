"""A repository with two small models that benchmarks can compare."""

import pytest

from tests.benchmarks.models import write_pipeline


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    write_pipeline(folder, "one")
    write_pipeline(folder, "two")
    return folder
