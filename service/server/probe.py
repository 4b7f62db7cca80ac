"""Check the health of the service in this container: `python -m service.server.probe PATH`.

The probe reads the settings of the service: it uses its port, and https if a certificate is set.
The certificate is not verified, because the connection does not leave the container.
"""

import ssl
import sys
import urllib.request

from service.settings import Settings, load_settings

TIMEOUT_S = 8.0


def probe(settings: Settings, path: str) -> None:
    """Request a path on loopback.

    Raises:
        OSError: there was no response within `TIMEOUT_S`, or its status is an error.
    """
    scheme = "http" if settings.tls_cert is None else "https"
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified)
    )
    opener.open(f"{scheme}://127.0.0.1:{settings.port}{path}", timeout=TIMEOUT_S).close()


if __name__ == "__main__":
    try:
        probe(load_settings(), sys.argv[1])
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
