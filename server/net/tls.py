"""TLS for connections from other machines. `protocol.location` says how clients verify the server."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

from layerfusion.engine.errors import InvalidRequest

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def server_context(cert: Path, key: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer with the chain in `cert`.

    Raises:
        InvalidRequest: a file cannot be read or has no certificate or key, the key has a password, or the key does not
            belong to the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, _LockedKey) as error:  # ssl.SSLError is an OSError
        problem = "the key has a password" if isinstance(error, _LockedKey) else error.strerror or error
        raise InvalidRequest(
            f"The certificate {cert} with the key {key or cert} cannot be used ({problem}).",
            "Give two PEM files that belong together; the key must have no password.",
        ) from None
    return context


def certificate(cert: Path) -> str:
    """The server's own certificate in PEM, which is the first of its chain."""
    found = _CERTIFICATE.search(cert.read_text("ascii", "replace"))
    assert found is not None, "server_context has checked it"
    return found[0] + "\n"


class _LockedKey(Exception):
    pass


def _no_password() -> str:
    """OpenSSL calls this for a key with a password. Without it, OpenSSL would ask in the terminal and wait."""
    raise _LockedKey
