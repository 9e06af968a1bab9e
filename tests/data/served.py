"""A file that a server has, and what a download left of it."""

import hashlib

BODY = bytes(range(256)) * 2000  # more than a chunk
RIGHT = hashlib.sha256(BODY).hexdigest()
WRONG = bytes([BODY[0] ^ 1]) + BODY[1:]


def left(cache):
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())
