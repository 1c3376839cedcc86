# The one place that knows which interpreter runs: every other module imports these names from here.
# The ticks period is the port's own (2**30 on 32-bit ports): never write it down, always go through ticks_diff.
try:
    from sys import print_exception
    from time import sleep_ms, sleep_us, ticks_add, ticks_diff, ticks_ms, ticks_us

    from cryptolib import aes
    from micropython import const
except ImportError:
    import time
    import traceback

    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    _PERIOD = 1 << 30

    def const(value):
        return value

    def ticks_ms():
        return time.monotonic_ns() // 1_000_000 % _PERIOD

    def ticks_us():
        return time.monotonic_ns() // 1000 % _PERIOD

    def ticks_add(ticks, delta):
        return (ticks + delta) % _PERIOD

    def ticks_diff(end, start):
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    def sleep_ms(ms):
        time.sleep(ms / 1000)

    def sleep_us(us):
        time.sleep(us / 1_000_000)

    def print_exception(error, file):
        traceback.print_exception(error, file=file)

    class aes:  # noqa: N801 - the name that cryptolib gives it
        # cryptolib's object: mode 1 is ECB, 2 is CBC; a CBC object keeps its chain between calls
        def __init__(self, key, mode, iv=None):
            chain = modes.ECB() if mode == 1 else modes.CBC(bytes(iv))  # noqa: S305 - LoRaWAN is made of single blocks
            cipher = Cipher(algorithms.AES(bytes(key)), chain)
            self._encrypt = cipher.encryptor().update
            self._decrypt = cipher.decryptor().update

        def encrypt(self, data, out=None):
            return _into(self._encrypt(bytes(data)), out)

        def decrypt(self, data, out=None):
            return _into(self._decrypt(bytes(data)), out)

    def _into(result, out):
        if out is None:
            return result
        out[:] = result
        return None
