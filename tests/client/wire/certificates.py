"""Certificates for tests: an authority, a server's and a client's, as PEM files."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Files in one folder; ``elsewhere`` is for another host, ``other_ca`` has signed nothing."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    elsewhere: Path
    elsewhere_key: Path
    other_ca: Path


def make_certificates(folder: Path) -> Certificates:
    """Write them, for a server on this machine."""
    authority, other = trustme.CA(), trustme.CA()
    found = Certificates(
        *(
            folder / name
            for name in (
                "ca.pem",
                "server.pem",
                "server.key",
                "client.pem",
                "client.key",
                "elsewhere.pem",
                "elsewhere.key",
                "other_ca.pem",
            )
        )
    )
    authority.cert_pem.write_to_path(found.ca)
    other.cert_pem.write_to_path(found.other_ca)
    for certificate, chain, key in (
        (authority.issue_cert("localhost", "127.0.0.1"), found.server, found.server_key),
        (authority.issue_cert("client@example.org"), found.client, found.client_key),
        (authority.issue_cert("elsewhere.example"), found.elsewhere, found.elsewhere_key),
    ):
        certificate.private_key_pem.write_to_path(key)
        for number, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(chain, append=number > 0)
    return found
