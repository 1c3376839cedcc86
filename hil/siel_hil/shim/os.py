# Shadows os: randomness comes from the run's seed, everything else is the real module.
import _link
from uos import *  # noqa: F403


def urandom(n):
    out = bytearray(n)
    for start in range(0, n, 255):
        size = min(255, n - start)
        _link.exchange("Q", size)
        out[start : start + size] = _link.payload[:size]
    return bytes(out)
