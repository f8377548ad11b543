"""Fixtures that several of the client's tests share."""

import pytest

from tests.client.support import infer_reply, scripted_server


@pytest.fixture(scope="module")
def server():
    """A server that hears "cat" in everything."""
    with scripted_server(lambda *_: infer_reply("cat")) as url:
        yield url
