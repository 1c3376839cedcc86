"""The one place that finds or fetches the real programs Siel works with: MicroPython and mosquitto.

Order: the variable (``MICROPYTHON``, ``MOSQUITTO``), ``PATH``, what was fetched before, the distribution's own packages
downloaded and unpacked below the cache. Nothing outside the cache is touched and no root is needed.
"""

from __future__ import annotations

from siel_hil.parts.errors import FaultyPartError, MissingPartError, PartError
from siel_hil.parts.find import MosquittoClients, find_micropython, find_mosquitto, find_mosquitto_clients
from siel_hil.parts.optional import Found, find_micropython32
from siel_hil.parts.program import Program

__all__ = [
    "FaultyPartError",
    "Found",
    "MissingPartError",
    "MosquittoClients",
    "PartError",
    "Program",
    "find_micropython",
    "find_micropython32",
    "find_mosquitto",
    "find_mosquitto_clients",
]
