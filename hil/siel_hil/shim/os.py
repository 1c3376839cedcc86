# Shadows os: randomness comes from the run's seed, everything else is the real module.
import _link
from uos import *  # noqa: F403


_POOL_BYTES = 250
_pool = b""


def urandom(n):
    global _pool
    while len(_pool) < n:
        size = _link.exchange(ord("Q"), _POOL_BYTES)
        _pool += bytes(_link.payload[:size])
    out = _pool[:n]
    _pool = _pool[n:]
    return out
