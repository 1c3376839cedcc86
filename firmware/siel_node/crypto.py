# AES-128 as LoRaWAN 1.0.4 uses it: MIC, payload cipher, session keys. One object per key, nothing allocated per frame.
import struct

from ._compat import aes, const

UPLINK = const(0)
DOWNLINK = const(1)
_ECB = const(1)
# Source: TS001-1.0.4 4.3.3 (A_i) and 4.4 (B_0): first byte, 4 zeros, direction, DevAddr, FCnt, zero, last byte
_BLOCK = "<BIBIIBB"


class Cipher:
    # AES with its CMAC subkeys and one work block. Not reentrant: a returned tag lives until the next call.
    def __init__(self, key: bytes) -> None:
        self._aes = aes(key, _ECB)
        self._block = block = bytearray(16)
        # K1, then K2. Source: RFC 4493 2.3
        self._subkeys = bytearray(32)
        self._aes.encrypt(block, block)
        for at in (0, 16):
            carry = 0
            for i in range(15, -1, -1):
                shifted = block[i] << 1 | carry
                block[i] = shifted & 0xFF
                carry = shifted >> 8
            if carry:
                block[15] ^= 0x87
            self._subkeys[at : at + 16] = block

    def encrypt(self, data: bytearray, start: int, end: int) -> None:
        # Whole blocks of data, in place.
        for at in range(start, end, 16):
            block = memoryview(data)[at : at + 16]
            self._aes.encrypt(block, block)

    def cmac(self, message: bytes | bytearray, length: int) -> bytearray:
        # The tag (16 bytes) over message[:length].
        block = self._block
        for i in range(16):
            block[i] = 0
        return self._chain(message, length)

    def mic(self, frame: bytes | bytearray, length: int, dev_addr: int, f_cnt: int, direction: int) -> bytearray:
        # The tag over B_0 and frame[:length]; its first four bytes are the MIC of a data frame.
        block = self._block
        struct.pack_into(_BLOCK, block, 0, 0x49, 0, direction, dev_addr, f_cnt, 0, length)
        self._aes.encrypt(block, block)
        return self._chain(frame, length)

    def crypt(self, data: bytearray, start: int, end: int, dev_addr: int, f_cnt: int, direction: int) -> None:
        # FRMPayload data[start:end] in place; encrypting and decrypting are the same.
        block = self._block
        number = 0
        while start < end:
            number += 1
            struct.pack_into(_BLOCK, block, 0, 1, 0, direction, dev_addr, f_cnt, 0, number)
            self._aes.encrypt(block, block)
            for i in range(min(16, end - start)):
                data[start + i] ^= block[i]
            start += 16

    def session_key(self, kind: int, nonces: bytes | bytearray, dev_nonce: int) -> bytes:
        # kind: 1 NwkSKey, 2 AppSKey. nonces: JoinNonce and NetID as in the join-accept. Source: TS001-1.0.4 6.2.6
        block = bytearray(16)
        struct.pack_into("<B6sH", block, 0, kind, nonces, dev_nonce)
        self._aes.encrypt(block, block)
        return bytes(block)

    def _chain(self, message: bytes | bytearray, length: int) -> bytearray:
        # CBC over the message from what is in the block. Source: RFC 4493 2.4
        block = self._block
        at = 0
        while length - at > 16:
            for i in range(16):
                block[i] ^= message[at + i]
            self._aes.encrypt(block, block)
            at += 16
        rest = length - at
        for i in range(rest):
            block[i] ^= message[at + i]
        subkey = 0
        if rest < 16:
            block[rest] ^= 0x80
            subkey = 16
        for i in range(16):
            block[i] ^= self._subkeys[subkey + i]
        self._aes.encrypt(block, block)
        return block
