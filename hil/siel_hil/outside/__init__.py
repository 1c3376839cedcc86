"""The shipped gateway met from outside, in wall time: its process, and real peers on sockets and serial lines.

Nothing here knows the daemon's inside; a fact is waited for by reading, never by sleeping.
"""

from __future__ import annotations

from siel_hil.outside.device import Device
from siel_hil.outside.forwarder import Forwarder
from siel_hil.outside.gateway import Gateway, new_key, run_siel
from siel_hil.outside.head import PtyHead
from siel_hil.outside.inbox import Inbox, NothingCameError
from siel_hil.outside.listener import Listener
from siel_hil.outside.network_server import NetworkServer

__all__ = [
    "Device",
    "Forwarder",
    "Gateway",
    "Inbox",
    "Listener",
    "NetworkServer",
    "NothingCameError",
    "PtyHead",
    "new_key",
    "run_siel",
]
