"""How workers prove to each other that they share a secret, before either says anything of its work.

Each side draws a number that was never used before, and answers the other's with an HMAC (RFC 2104) over both: who
listens learns nothing that is of use a second time, and neither side can be a mirror of the other.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from pathlib import Path

from fer_tl.core.errors import UserError

SHORTEST = 16
"""Bytes of a secret: 128 bits, if they are drawn."""
_LONGEST = 4096
_ADVICE = "make one with: python -c 'import secrets; print(secrets.token_hex(32))' > FILE; chmod 600 FILE"


def read_secret(path: Path | str) -> bytes:
    """The secret of a cluster, without blanks around it.

    Raises:
        UserError: there is no such file, others can read it, or it is too short.
    """
    path = Path(os.path.expanduser(str(path)))
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LONGEST:
            raise UserError(f"--cluster-secret {path} is not a small file: {_ADVICE}")
        if os.name == "posix" and found.st_mode & 0o077:
            raise UserError(f"--cluster-secret {path} can be read by other users of this machine: chmod 600 {path}")
        secret = path.read_bytes().strip()
    except OSError as error:
        raise UserError(f"--cluster-secret {path} cannot be read ({error.strerror}): {_ADVICE}") from None
    if len(secret) < SHORTEST:
        raise UserError(f"--cluster-secret {path} has {len(secret)} bytes, too few to be a secret: {_ADVICE}")
    return secret


def draw_nonce() -> str:
    """A number for one connection, 32 hexadecimal digits."""
    return secrets.token_hex(16)


def prove(secret: bytes, role: str, own: str, other: str, worker: int) -> str:
    """The proof of one side for one connection: 64 hexadecimal digits.

    Args:
        secret: shared by all workers.
        role: "chief" or "worker", whose proof it is.
        own: the nonce that this side drew.
        other: that of the other side.
        worker: index of the worker.
    """
    return hmac.new(secret, f"fer-tl {role} {own} {other} {worker}".encode(), "sha256").hexdigest()


def is_proof(found: object, expected: str) -> bool:
    """Whether what the other side sent is the proof, in the same time wherever they differ."""
    return isinstance(found, str) and found.isascii() and hmac.compare_digest(found, expected)
