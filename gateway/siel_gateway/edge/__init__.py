"""The network server for devices that live at this gateway: registry, sessions, joins, uplinks and answers."""

from __future__ import annotations

from siel_gateway.edge.answers import Now
from siel_gateway.edge.blocks import BLOCK, Reservation
from siel_gateway.edge.records import (
    Delivery,
    Downlink,
    EdgeDevice,
    Effects,
    Event,
    Joined,
    Sealer,
    Transmission,
)
from siel_gateway.edge.server import EdgeServer
from siel_gateway.edge.undecoded import UNDECODED, Undecoded, decode_undecoded, encode_undecoded, key_of, row_of

__all__ = [
    "BLOCK",
    "UNDECODED",
    "Delivery",
    "Downlink",
    "EdgeDevice",
    "EdgeServer",
    "Effects",
    "Event",
    "Joined",
    "Now",
    "Reservation",
    "Sealer",
    "Transmission",
    "Undecoded",
    "decode_undecoded",
    "encode_undecoded",
    "key_of",
    "row_of",
]
