"""Exit 0 when the service in this container answers /healthz, 1 when it does not.

The port is that of ``TONGPIN_SERVER__PORT``, else 8443. The certificate is not checked: the question is whether the
process answers, over loopback, and a local CA is not known here.
"""

import os
import ssl
import sys
import urllib.request

TIMEOUT_S = 2.0


def answers(port: str) -> bool:
    """Whether https or http on the port gives 200."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
    )
    for scheme in ("https", "http"):
        try:
            with direct.open(f"{scheme}://127.0.0.1:{port}/healthz", timeout=TIMEOUT_S) as response:
                if response.status == 200:
                    return True
        except OSError:
            continue
    return False


if __name__ == "__main__":
    sys.exit(0 if answers(os.environ.get("TONGPIN_SERVER__PORT", "8443")) else 1)
