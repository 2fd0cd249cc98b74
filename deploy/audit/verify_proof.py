"""Checks a proof of `vlpro audit prove`, without the product: `python verify_proof.py PROOF.json PUBLIC_KEY_HEX`.

It needs Python and the package `cryptography`, and the public key from somebody you trust (`vlpro audit key`): the
key inside the proof proves nothing by itself. Exit status 0: the record is part of what the key's owner signed.
"""

import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNED = b"vlpro audit checkpoint 1\0"


def node(left, right):
    """An inner node (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def climb(position, last, path, *starts):
    """Walk a path from a node to the root; siblings on the left are in all trees, those on the right in the last."""
    roots = list(starts)
    for sibling in path:
        if last == 0:
            raise ValueError("the path is too long")
        if position & 1 or position == last:
            roots = [node(sibling, root) for root in roots]
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            roots[-1] = node(roots[-1], sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ValueError("the path is too short")
    return roots


def signed(part, key):
    """A checkpoint whose signature is right."""
    data = part["checkpoint"].encode()
    Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(part["signature"]), SIGNED + data)
    return json.loads(data)


def continues(old, new, path):
    """Whether the newer tree begins with the older one (RFC 9162 section 2.1.4.2)."""
    first, root = old["size"], bytes.fromhex(old["root"])
    if first == new["size"]:
        return not path and old["root"] == new["root"]
    path = path if first & (first - 1) else [root, *path]
    position, last = first - 1, new["size"] - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    before, after = climb(position, last, path[1:], path[0], path[0])
    return before == root and after.hex() == new["root"]


def check(proof, key):
    """Raise ValueError, or return what the proof proves: the record, the checkpoint, the earlier one or None."""
    checkpoint, path = signed(proof, key), [bytes.fromhex(step) for step in proof["path"]]
    record = json.loads(proof["record"])
    index, leaf = record["seq"] - 1, hashlib.sha256(b"\x00" + proof["record"].encode()).digest()
    if not 0 <= index < checkpoint["size"]:
        raise ValueError("the record is beyond the checkpoint")
    if climb(index, checkpoint["size"] - 1, path, leaf)[0].hex() != checkpoint["root"]:
        raise ValueError("the record is not part of what the checkpoint signs")
    since = proof.get("since")
    if since is None:
        return record, checkpoint, None
    earlier = signed(since, key)
    if earlier["log"] != checkpoint["log"] or not 0 < earlier["size"] <= checkpoint["size"]:
        raise ValueError("the earlier checkpoint is of another log, or not earlier")
    if not continues(earlier, checkpoint, [bytes.fromhex(step) for step in since["path"]]):
        raise ValueError("the earlier checkpoint is not the beginning of the later one")
    return record, checkpoint, earlier


if __name__ == "__main__":
    try:
        proof = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        record, checkpoint, earlier = check(proof, bytes.fromhex(sys.argv[2]))
    except InvalidSignature:
        sys.exit("WRONG: the signature is not this key's")
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        sys.exit(f"WRONG: {error!r}")
    since = f", which continues the one of {earlier['size']}" if earlier else ""
    print(
        f"RIGHT: record {record['seq']} ({record['time']}, {record['event']}, {record['login'] or '-'}) is part of"
    )
    print(f"log {checkpoint['log']}, {checkpoint['size']} records, signed {checkpoint['time']}{since}")
