"""DevAddr: which addresses a NetID owns, and this gateway's own small block among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_TYPES: Final = ((6, 25), (6, 24), (9, 20), (11, 17), (12, 15), (13, 13), (15, 10), (17, 7))
"""Bits of NwkID and NwkAddr for NetID types 0 to 7. Source: TS002-1.1.0, table "DevAddr format"."""
_BLOCK_BITS: Final = 16
BLOCK_BYTES: Final = 5
"""Length of a stored block: first address, big-endian, and the number of its free bits."""


def random_block(net_id: int, random_bytes: Callable[[int], bytes]) -> bytes:
    """Choose a block of DevAddr of ``net_id`` at random, so that two gateways with the same NetID seldom meet.

    Args:
        net_id: 24 bits, its type in the upper three.
        random_bytes: Returns so many unpredictable bytes.
    """
    kind = net_id >> 21
    nwk_id_bits, nwk_addr_bits = _TYPES[kind]
    # A type's prefix is as many ones as its number and a zero
    prefix = (1 << kind + 1) - 2
    network = prefix << nwk_id_bits | net_id & (1 << nwk_id_bits) - 1
    free_bits = min(_BLOCK_BITS, nwk_addr_bits)
    chosen = int.from_bytes(random_bytes(4), "big") & (1 << nwk_addr_bits) - 1
    first = network << nwk_addr_bits | chosen >> free_bits << free_bits
    return first.to_bytes(4, "big") + bytes((free_bits,))


def in_network(block: bytes, net_id: int) -> bool:
    """Say whether a stored block is one of ``net_id``; it is not after the configuration changed."""
    if len(block) != BLOCK_BYTES:
        return False
    nwk_addr_bits = _TYPES[net_id >> 21][1]
    probe = random_block(net_id, bytes)
    same_network = (int.from_bytes(block[:4], "big") ^ int.from_bytes(probe[:4], "big")) >> nwk_addr_bits == 0
    return same_network and block[4] == probe[4]


def draw(block: bytes, random_bytes: Callable[[int], bytes]) -> int:
    """Return some DevAddr of ``block``; it need not be unique, a MIC tells whose frame it is."""
    mask = (1 << block[4]) - 1
    return int.from_bytes(block[:4], "big") | int.from_bytes(random_bytes(4), "big") & mask
