"""The cryptography of LoRaWAN 1.0.4: MIC, payload cipher, join-accept, session keys.

Source: TS001-1.0.4, 4.3.3 (encryption), 4.4 (MIC), 6.2.5 and 6.2.6 (join procedure).
Keys are 16 bytes; none is kept, cached or shown by anything here.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from siel_codecs.errors import BuildError
from siel_codecs.lorawan.layout import MIC_BYTES

KEY_BYTES: Final = 16
BLOCK_BYTES: Final = 16
_BLOCK: Final = struct.Struct("<BIBIIBB")
"""The blocks A_i and B_0: first byte, four zeros, Dir, DevAddr, FCnt, zero, and i or the length."""


class SessionKeys(NamedTuple):
    """What a join leaves behind; the representation hides it."""

    nwk_s_key: bytes
    app_s_key: bytes

    def __repr__(self) -> str:
        """Say what this is and nothing of its content."""
        return "SessionKeys(...)"


def cmac(key: bytes, data: bytes) -> bytes:
    """Return the whole 16-byte AES-CMAC of ``data``. Source: RFC 4493."""
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


def data_mic(nwk_s_key: bytes, phy_without_mic: bytes, dev_addr: int, f_cnt32: int, uplink: bool) -> bytes:
    """Return the four MIC bytes of a data frame.

    Args:
        nwk_s_key: NwkSKey.
        phy_without_mic: MHDR up to and with the last payload byte, as on air.
        dev_addr: DevAddr.
        f_cnt32: The whole frame counter.
        uplink: Dir; False for a downlink.
    """
    mac = CMAC(algorithms.AES(nwk_s_key))
    mac.update(_BLOCK.pack(0x49, 0, not uplink, dev_addr, f_cnt32, 0, len(phy_without_mic)) + phy_without_mic)
    return mac.finalize()[:MIC_BYTES]


def crypt_payload(key: bytes, dev_addr: int, f_cnt32: int, uplink: bool, data: bytes) -> bytes:
    """Encrypt or decrypt an FRMPayload; the operation is its own inverse.

    The specification's blocks A_1, A_2 ... differ in their last byte only, so they are AES in counter mode.

    Args:
        key: AppSKey; on FPort 0 NwkSKey.
        dev_addr: DevAddr.
        f_cnt32: The whole frame counter.
        uplink: Dir; False for a downlink.
        data: At most 255 bytes; more never fits a frame.
    """
    if not data:
        return b""
    counter = modes.CTR(_BLOCK.pack(0x01, 0, not uplink, dev_addr, f_cnt32, 0, 1))
    return Cipher(algorithms.AES(key), counter).encryptor().update(data)


def join_request_mic(app_key: bytes, phy: bytes) -> bytes:
    """Return the MIC of a join-request; ``phy`` is the frame, with or without its MIC."""
    return cmac(app_key, phy[:19])[:MIC_BYTES]


def join_accept_mic(app_key: bytes, plain: bytes) -> bytes:
    """Return the MIC of a join-accept; ``plain`` is MHDR and the decrypted body without MIC."""
    return cmac(app_key, plain)[:MIC_BYTES]


def crypt_join_accept(app_key: bytes, plain: bytes) -> bytes:
    """Encrypt body and MIC of a join-accept: AES *decryption*, because a device owns only the encryption."""
    return Cipher(algorithms.AES(app_key), modes.ECB()).decryptor().update(plain)  # noqa: S305 - the specification's mode


def open_join_accept(app_key: bytes, encrypted: bytes) -> bytes:
    """Return body and MIC of a join-accept in clear; ``encrypted`` is the frame without MHDR."""
    return aes_ecb(app_key, encrypted)


def aes_ecb(key: bytes, blocks: bytes) -> bytes:
    """Encrypt whole 16-byte blocks, each by itself."""
    if len(blocks) % BLOCK_BYTES:
        raise BuildError("blocks", f"{len(blocks)} bytes are not whole blocks of {BLOCK_BYTES}")
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(blocks)  # noqa: S305 - the specification's mode


def derive_session_keys(app_key: bytes, join_nonce: int, net_id: int, dev_nonce: int) -> SessionKeys:
    """Return the session keys of a join, the same on both sides.

    Args:
        app_key: AppKey.
        join_nonce: JoinNonce of the join-accept, 24 bits.
        net_id: NetID of the join-accept, 24 bits.
        dev_nonce: DevNonce of the join-request, 16 bits.
    """
    tail = join_nonce.to_bytes(3, "little") + net_id.to_bytes(3, "little") + dev_nonce.to_bytes(2, "little") + bytes(7)
    keys = aes_ecb(app_key, b"\x01" + tail + b"\x02" + tail)
    return SessionKeys(keys[:KEY_BYTES], keys[KEY_BYTES:])


def full_f_cnt(last: int | None, f_cnt: int) -> int:
    """Return the smallest whole counter that is not below ``last`` and ends in the 16 bits ``f_cnt``.

    Args:
        last: The last accepted whole counter, None before the first.
        f_cnt: The 16 bits on air.
    """
    if last is None:
        return f_cnt
    return last + (f_cnt - last & 0xFFFF)


def find_f_cnt(nwk_s_key: bytes, phy: bytes, dev_addr: int, f_cnt: int, uplink: bool) -> int | None:
    """Return the smallest whole counter under which the MIC of a data frame fits; None if there is none.

    At most 65536 tries, for all upper halves that there are.

    Args:
        nwk_s_key: NwkSKey.
        phy: The whole frame.
        dev_addr: DevAddr.
        f_cnt: The 16 bits on air.
        uplink: Dir; False for a downlink.
    """
    body, mic = phy[:-MIC_BYTES], phy[-MIC_BYTES:]
    for upper in range(1 << 16):
        full = upper << 16 | f_cnt
        if data_mic(nwk_s_key, body, dev_addr, full, uplink) == mic:
            return full
    return None
