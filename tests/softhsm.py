"""A hardware security module in software: Debian's SoftHSM with a token of the tests' own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["MODULE", "PIN", "new_token"]

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "4711-pin"

_MAKE_KEYS = """
import sys
import pkcs11
token = pkcs11.lib(sys.argv[1]).get_token(token_label="vlpro")
with token.open(rw=True, user_pin=sys.argv[2]) as session:
    for label in ("kek", "other", "twice", "twice"):
        session.generate_key(pkcs11.KeyType.AES, 256, label=label, store=True)
"""


def new_token(folder: Path) -> str:
    """A token "vlpro" with the keys "kek", "other" and, two of them, "twice".

    Sets SOFTHSM2_CONF, which the module reads when it is loaded: one token a process.

    Returns:
        The PKCS#11 URI of "kek".
    """
    (folder / "tokens").mkdir(mode=0o700)
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    pins = ["--pin", PIN, "--so-pin", PIN]
    subprocess.run(
        ["/usr/bin/softhsm2-util", "--init-token", "--free", "--label", "vlpro", *pins],
        check=True,
        capture_output=True,
    )
    subprocess.run([sys.executable, "-c", _MAKE_KEYS, str(MODULE), PIN], check=True)
    (folder / "pin").write_text(PIN + "\n")
    (folder / "pin").chmod(0o600)
    return (
        f"pkcs11:token=vlpro;object=kek;type=secret-key?module-path={MODULE}&pin-source=file:{folder / 'pin'}"
    )
