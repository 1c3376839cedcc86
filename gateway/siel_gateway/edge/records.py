"""What goes into the edge server and what comes out of it."""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol

import msgspec

from siel_gateway.codecs import AnyCodec
from siel_gateway.edge.blocks import Reservation
from siel_gateway.edge.undecoded import Undecoded
from siel_gateway.records import Observation, TxRequest

MAX_ID_CHARS: Final = 128
"""Of an operator's downlink."""
MAX_F_PORT: Final = 223
"""Source: TS001-1.0.4 section 4.3.2: 1 to 223 belong to the application."""
DeliveryOutcome = Literal["queued", "on_air", "acked", "refused", "expired"]


class Sealer(Protocol):
    """Encrypts what must not lie in clear on the disk."""

    def seal(self, secret: bytes, context: bytes = b"") -> bytes:
        """Return ``secret`` encrypted; it opens only with the same ``context``."""
        ...

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Return what was sealed; raise any exception when it is not ours, for another context, or altered."""
        ...


class EdgeDevice(msgspec.Struct, frozen=True, kw_only=True):
    """One device whose home is this gateway."""

    dev_eui: str
    join_eui: str | None = None
    """None: whatever the device sends; its key proves it either way."""
    name: str
    codec: AnyCodec
    counted_dev_nonce: bool = True
    """DevNonce is a counter, as from LoRaWAN 1.0.4; False: random, each may be used once."""


class Downlink(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator wants a device to get."""

    id: str
    f_port: int
    payload: bytes
    confirmed: bool = False
    expires_ms: int
    """UTC in milliseconds; afterwards it is not sent any more."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of a Downlink."""

    dev_eui: str
    id: str
    outcome: DeliveryOutcome
    reason: str = ""
    slack_us: int | None = None


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """A device's join-request was accepted."""

    dev_eui: str
    dev_addr: int
    time: str


class Transmission(msgspec.Struct, frozen=True):
    """A frame to be sent through the arbiter; its outcome goes to :meth:`EdgeServer.tx_outcome`."""

    request: TxRequest
    after_commit: bool = False
    """True for a join-accept: with seconds to spare, the session is safe before the device learns of it."""


class Event(msgspec.Struct, frozen=True):
    """Something for the log; never holds a key."""

    name: str
    fields: dict[str, Any]


class Effects(msgspec.Struct):
    """All that follows from one step; the daemon puts it into the journal batch of that step and carries it out."""

    puts: list[tuple[str, str, bytes]] = []
    """(table, key, value) of state that must be in the same transaction as the frame."""
    observations: list[Observation] = []
    undecoded: Undecoded | None = None
    """An uplink whose codec takes its time; it is in the same transaction, and :meth:`EdgeServer.decoded` ends it."""
    transmissions: list[Transmission] = []
    reservations: list[Reservation] = []
    deliveries: list[Delivery] = []
    joins: list[Joined] = []
    events: list[Event] = []
    verified: bool = False
    """Whether a MIC has proven that the frame is one of our devices', and it is no replay: those anybody can send."""

    def event(self, name: str, **fields: Any) -> None:
        """Add a log line."""
        self.events.append(Event(name, fields))
