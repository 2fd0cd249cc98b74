"""Asks the service on its Unix socket whether it runs: python healthy.py SOCKET [PATH]. Exit status 0: it does."""

import http.client
import socket
import sys

_TIMEOUT_S = 4


def main() -> int:
    """Ask once."""
    path = sys.argv[2] if len(sys.argv) > 2 else "/healthz"
    connection = http.client.HTTPConnection("localhost", timeout=_TIMEOUT_S)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(_TIMEOUT_S)
    try:
        connection.sock.connect(sys.argv[1])
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        print(error)
        return 1
    finally:
        connection.close()
    print(status)
    return 0 if status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
