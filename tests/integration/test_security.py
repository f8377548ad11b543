"""Who is let in: a real Triton with TLS, client certificates and restricted protocols.

Each refusal names its fix, and no secret is ever shown.
"""

import re
from contextlib import contextmanager

import pytest

from client import Transcriber, TransportOptions
from client.__main__ import main
from client.commands.flags import FLAGS
from client.errors import ModelNotReady, SecurityError, ServerUnavailable
from client.wire.connection import ConnectionOptions
from client.wire.models import list_models
from client.wire.transport import TritonTransport
from server import EmbeddedServer, ServerOptions, free_ports
from tests.client.wire.certificates import make_certificates
from tests.conftest import PROJECT

CLIP = PROJECT / "demo" / "clips" / "clip_01.flac"
SECRET = "open-sesame-7f3a"  # noqa: S105 -- a test's
KEY = "triton-grpc-protocol-admin"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@contextmanager
def triton(repository, *arguments):
    options = ServerOptions(repository, extra_arguments=arguments, **free_ports())
    with EmbeddedServer(options):
        yield f"localhost:{options.grpc_port}"


@pytest.fixture(scope="module")
def tls(demo_repository, certificates):
    """A server that speaks TLS and takes every client."""
    with triton(
        demo_repository,
        "--grpc-use-ssl=true",
        f"--grpc-server-cert={certificates.server}",
        f"--grpc-server-key={certificates.server_key}",
    ) as url:
        yield url


@pytest.fixture(scope="module")
def mutual(demo_repository, certificates):
    """A server that wants certificates of its clients."""
    with triton(
        demo_repository,
        "--grpc-use-ssl-mutual=true",
        f"--grpc-server-cert={certificates.server}",
        f"--grpc-server-key={certificates.server_key}",
        f"--grpc-root-cert={certificates.ca}",
    ) as url:
        yield url


@pytest.fixture(scope="module", params=["inference", "model-config", "model-repository,health"])
def restricted(request, demo_repository):
    """A server that keeps some of its protocols to those who have the key."""
    with triton(
        demo_repository, f"--grpc-restricted-protocol={request.param}:admin={SECRET}"
    ) as url:
        yield url, request.param


def heard(url, **options):
    options = TransportOptions(connection=ConnectionOptions(**options))
    with Transcriber(url, "demo", options=options) as transcriber:
        (result,) = transcriber.transcribe([CLIP])
    assert result.error is None, result.error
    return result.transcript.text


def test_speech_goes_over_tls(tls, certificates, server_url):
    assert heard(tls, tls=True, ca=certificates.ca) == heard(server_url)


def test_speech_goes_over_tls_with_certificates_on_both_sides(mutual, certificates, server_url):
    both = {"certificate": certificates.client, "key": certificates.client_key}
    assert heard(mutual, tls=True, ca=certificates.ca, **both) == heard(server_url)


@pytest.mark.parametrize(
    ("server", "options", "says"),
    [
        ("tls", {}, "requires TLS, which is off.*--tls-ca"),
        ("mutual", {}, "requires TLS, which is off"),
        ("tls", {"tls": True}, "is not trusted.*--tls-ca"),
        ("tls", {"tls": True, "ca": "other_ca"}, "is not trusted.*--tls-ca"),
        (
            "mutual",
            {"tls": True, "ca": "ca"},
            "requires a client certificate.*--tls-certificate, --tls-key",
        ),
        (
            "mutual",
            {"tls": True, "ca": "ca", "certificate": "server", "key": "client_key"},
            "the key that belongs to the certificate",
        ),
        ("tls", {"tls": True, "ca": "client_key"}, "expected PEM certificates.*--tls-ca"),
        ("server_url", {"tls": True, "ca": "ca"}, "may not use TLS"),
    ],
)
def test_a_connection_that_is_refused_says_why(request, certificates, server, options, says):
    files = {
        name: getattr(certificates, value) if isinstance(value, str) else value
        for name, value in options.items()
    }
    url = request.getfixturevalue(server)
    with pytest.raises(SecurityError) as raised:
        heard(url, **files)
    assert re.search(says, raised.value.text(FLAGS))
    assert raised.value.url == url


def test_a_certificate_of_another_host_is_not_trusted(demo_repository, certificates):
    with (
        triton(
            demo_repository,
            "--grpc-use-ssl=true",
            f"--grpc-server-cert={certificates.elsewhere}",
            f"--grpc-server-key={certificates.elsewhere_key}",
        ) as url,
        pytest.raises(SecurityError, match=r"is not trusted.*the host as the certificate names it"),
    ):
        heard(url, tls=True, ca=certificates.ca)


@pytest.mark.parametrize("name", ["ca", "certificate"])
def test_a_certificate_that_is_not_there_is_named(server_url, tmp_path, name):
    files = {"certificate": tmp_path / "gone", "key": tmp_path / "gone"}
    files = files if name == "certificate" else {"ca": tmp_path / "gone"}
    with pytest.raises(SecurityError, match=r"gone: cannot be read"):
        heard(server_url, tls=True, **files)


def test_a_restricted_protocol_opens_with_its_key(restricted, server_url):
    url, _ = restricted
    assert heard(url, headers={KEY: SECRET}) == heard(server_url)


def test_without_the_key_a_restricted_protocol_is_named_at_once(restricted):
    url, protocol = restricted
    if protocol == "model-repository,health":  # of no concern to a client that has its model's name
        heard(url)
        with pytest.raises(ServerUnavailable, match="restricted"):  # and health, so nobody knows
            list_models(url)
        with pytest.raises(ModelNotReady, match="does not list those it has: check the name"):
            TritonTransport(url, "dmo")
        return
    with pytest.raises(SecurityError, match=r"clients with a key.*admin") as raised:
        heard(url)
    assert "--restricted-key" in raised.value.text(FLAGS)
    with pytest.raises(SecurityError, match=f"another value of {KEY}"):
        heard(url, headers={KEY: "guess"})


def test_the_command_line_takes_secrets_from_files_and_the_environment(
    restricted, tmp_path, monkeypatch, capfd
):
    url, _ = restricted
    (tmp_path / "key").write_text(f"{SECRET}\n")
    monkeypatch.setenv("KEY", SECRET)
    command = ["transcribe", str(CLIP), "--model", "demo", "--url", url, "--restricted-key"]
    assert main([*command, f"admin=file:{tmp_path / 'key'}"]) == 0
    assert main([*command, "admin=env:KEY"]) == 0
    monkeypatch.setenv("KEY", f"{SECRET} not")
    main([*command, "admin=env:KEY"])
    captured = capfd.readouterr()
    assert SECRET not in captured.out + captured.err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (f"admin={SECRET}", "values are not given here"),
        ("admin=env:", "expected NAME="),
        ("Admin=env:KEY", "in lower case"),
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(given, says, capsys):
    with pytest.raises(SystemExit):
        main(["transcribe", str(CLIP), "--model", "demo", "--restricted-key", given])
    said = capsys.readouterr().err
    assert says in said
    assert SECRET not in said


def test_a_secret_that_is_missing_is_an_error_that_names_its_place(monkeypatch, capsys):
    monkeypatch.delenv("KEY", raising=False)
    command = ["transcribe", str(CLIP), "--model", "demo", "--header"]
    assert main([*command, "authorization=env:KEY"]) == 1
    assert "the environment variable KEY holds nothing" in capsys.readouterr().err
    assert main([*command, "authorization=file:/gone"]) == 1
    assert "/gone: cannot be read" in capsys.readouterr().err


def test_options_do_not_show_their_secrets():
    options = TransportOptions(connection=ConnectionOptions(headers={KEY: SECRET}))
    assert SECRET not in repr(options)


@pytest.mark.parametrize(
    "options",
    [{"ca": "ca.pem"}, {"tls": True, "certificate": "c.pem"}, {"tls": True, "key": "k.pem"}],
)
def test_options_that_do_not_go_together_are_refused(options):
    with pytest.raises(ValueError, match="certificate"):
        ConnectionOptions(**options)
