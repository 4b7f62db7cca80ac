"""Ask the service in this container whether it is well: `python -m service.server.probe PATH`.

For health checks, with the settings that the service has itself: its port, and https where it has a
certificate, which is not checked since nobody stands between.
"""

import ssl
import sys
import urllib.request

from service.settings import Settings, load_settings

LIMIT_S = 8.0


def probe(settings: Settings, path: str) -> None:
    """Ask for a path on loopback.

    Raises:
        OSError: nobody answers within LIMIT_S, or the answer is an error.
    """
    scheme = "http" if settings.tls_cert is None else "https"
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
    )
    direct.open(f"{scheme}://127.0.0.1:{settings.port}{path}", timeout=LIMIT_S).close()


if __name__ == "__main__":
    try:
        probe(load_settings(), sys.argv[1])
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
