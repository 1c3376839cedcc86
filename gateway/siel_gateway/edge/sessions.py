"""Devices and sessions of the edge server, in memory and as they are kept in the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from siel_codecs.lorawan import SessionKeys
from siel_gateway.edge.records import EdgeDevice, Effects, Sealer

DEVICES: Final = "edge_device"
SESSIONS: Final = "edge_session"
COUNTERS: Final = "edge_counter"
MAX_USED_NONCES: Final = 512
"""Random DevNonces remembered per device of LoRaWAN before 1.0.4."""
REBOOTED_US: Final = 1 << 40
"""Longer ago than any rule about copies and repeats looks back."""
KEY_BYTES: Final = 16
_NONCE_BYTES: Final = 2


class JoinState(msgspec.Struct, array_like=True):
    """What must survive of a device's joins."""

    last_nonce: int = -1
    """The highest DevNonce used, -1 before the first."""
    used_nonces: bytes = b""
    """Two bytes each, for devices whose DevNonce is random."""
    digest: bytes = b""
    """Of the last join-request, to know its copies."""
    time_us: int = 0
    """When that was heard, on the gateway's clock."""
    current: int = -1
    """Slot of the session in use, -1 before the first."""
    pending: int = -1
    """Slot of a session that was offered and from which no frame came yet; -1 for none."""


class Stored(msgspec.Struct, array_like=True):
    """A session's unchanging part."""

    join_nonce: int
    dev_addr: int
    f_cnt_down_base: int
    channels_hz: tuple[int, ...]
    sealed: bytes
    """Both session keys, encrypted, with the DevEUI as context."""


class Counters(msgspec.Struct, array_like=True):
    """A session's changing part, small because every uplink writes it."""

    join_nonce: int
    """Of the session it belongs to."""
    f_cnt_up: int = -1
    """The last one accepted, -1 before the first."""
    digest: bytes = b""
    """Of that frame as on air."""
    time_us: int = 0
    """When it was first heard, on the gateway's clock."""
    taken: int = 0
    """Bit n: the counter n + 1 below the last one was accepted too."""
    answers: int = 0
    """How often a repeat of it was answered."""
    mask: int = -1
    """The channels the device uses as far as we know, -1 when it may have changed them by itself."""
    asked_mask: int = -1
    """The mask of a LinkADRReq that still waits for its answer, -1 for none."""
    refused_mask: int = -1
    """A mask the device has refused, -1 for none."""
    last_down: int = -1
    """The last of the device's reserved downlink numbers that was used, -1 before the first."""


class Session:
    """One session: keys, address and counters. Its representation has no key."""

    __slots__ = ("app_s_key", "channels_hz", "counters", "dev_addr", "device", "f_cnt_down_base", "nwk_s_key", "slot")

    def __init__(self, device: DeviceState, slot: int, stored: Stored, keys: SessionKeys, counters: Counters) -> None:
        self.device = device
        self.slot = slot
        self.dev_addr = stored.dev_addr
        self.f_cnt_down_base = stored.f_cnt_down_base
        self.channels_hz = stored.channels_hz
        self.nwk_s_key, self.app_s_key = keys
        self.counters = counters

    @property
    def key(self) -> str:
        """Its key in the journal's tables."""
        return f"{self.device.config.dev_eui}/{self.slot}"

    @property
    def next_down(self) -> int:
        """The device's reserved downlink numbers below this are used or belong to an earlier session."""
        return max(self.f_cnt_down_base, self.counters.last_down + 1)

    def save(self, effects: Effects) -> None:
        """Put the changing part into the batch."""
        effects.puts.append((COUNTERS, self.key, msgspec.msgpack.encode(self.counters)))


class DeviceState:
    """A configured device and what the edge server knows about it."""

    __slots__ = ("config", "join", "slots")

    def __init__(self, config: EdgeDevice) -> None:
        self.config = config
        self.join = JoinState()
        self.slots: list[Session | None] = [None, None]

    def save(self, effects: Effects) -> None:
        """Put what its joins left behind into the batch."""
        effects.puts.append((DEVICES, self.config.dev_eui, msgspec.msgpack.encode(self.join)))

    def nonce_is_new(self, dev_nonce: int) -> bool:
        """Say whether a join-request with ``dev_nonce`` was never answered.

        Source: TS001-1.0.4 section 6.2.5: a counter that only grows; before 1.0.4 a random number that the server
        remembers.
        """
        if self.config.counted_dev_nonce:
            return dev_nonce > self.join.last_nonce
        used = self.join.used_nonces
        wire = dev_nonce.to_bytes(_NONCE_BYTES, "big")
        return all(used[at : at + _NONCE_BYTES] != wire for at in range(0, len(used), _NONCE_BYTES))

    def use_nonce(self, dev_nonce: int) -> None:
        """Remember that ``dev_nonce`` was used."""
        self.join.last_nonce = max(dev_nonce, self.join.last_nonce)
        if not self.config.counted_dev_nonce:
            used = self.join.used_nonces + dev_nonce.to_bytes(_NONCE_BYTES, "big")
            self.join.used_nonces = used[-MAX_USED_NONCES * _NONCE_BYTES :]


class Sessions:
    """All devices by DevEUI, all sessions by DevAddr."""

    def __init__(self, devices: Iterable[EdgeDevice], sealer: Sealer) -> None:
        self._sealer = sealer
        self.devices = {device.dev_eui: DeviceState(device) for device in devices}
        self._by_addr: dict[int, list[Session]] = {}

    def with_addr(self, dev_addr: int) -> tuple[Session, ...]:
        """Return every session with this DevAddr; several devices may share one."""
        return tuple(self._by_addr.get(dev_addr, ()))

    def open(self, device: DeviceState, stored: Stored, keys: SessionKeys, effects: Effects) -> Session:
        """Keep a new session beside the one in use, until a frame proves that the device has it.

        ``stored.sealed`` is filled in here.
        """
        join = device.join
        slot = 1 - join.current if join.current >= 0 else 0
        stored.sealed = self._sealer.seal(keys.nwk_s_key + keys.app_s_key, bytes.fromhex(device.config.dev_eui))
        mask = (1 << len(stored.channels_hz)) - 1
        session = Session(device, slot, stored, keys, Counters(stored.join_nonce, mask=mask))
        self._put_in_slot(session)
        join.pending = slot
        effects.puts.append((SESSIONS, session.key, msgspec.msgpack.encode(stored)))
        session.save(effects)
        device.save(effects)
        return session

    def confirm(self, session: Session, effects: Effects) -> None:
        """A frame came with ``session``: if it was pending, it replaces the one before it."""
        join = session.device.join
        if session.slot != join.pending:
            return
        other = session.device.slots[1 - session.slot]
        if other is not None:
            self._by_addr[other.dev_addr].remove(other)
            session.device.slots[other.slot] = None
        join.current, join.pending = session.slot, -1
        session.device.save(effects)

    def _put_in_slot(self, session: Session) -> None:
        old = session.device.slots[session.slot]
        if old is not None:
            self._by_addr[old.dev_addr].remove(old)
        session.device.slots[session.slot] = session
        self._by_addr.setdefault(session.dev_addr, []).append(session)

    def load(self, items: Callable[[str], Iterable[tuple[str, bytes]]], now_us: int) -> list[str]:
        """Read the journal's tables back; return the DevEUIs whose session could not be read.

        Args:
            items: Returns all (key, value) of a table.
            now_us: The gateway's clock; stamps above it are from before a reboot and mean nothing any more.
        """
        counters = dict(items(COUNTERS))
        stored = dict(items(SESSIONS))
        unreadable = []
        for dev_eui, value in items(DEVICES):
            device = self.devices.get(dev_eui)
            if device is None:  # taken out of the configuration; kept in the journal in case it comes back
                continue
            try:
                device.join = msgspec.msgpack.decode(value, type=JoinState)
                for slot in {device.join.current, device.join.pending} - {-1}:
                    key = f"{dev_eui}/{slot}"
                    session = self._restore(device, slot, stored[key], counters[key])
                    if session.counters.time_us > now_us:
                        session.counters.time_us = -REBOOTED_US
                    self._put_in_slot(session)
                if device.join.time_us > now_us:
                    device.join.time_us = -REBOOTED_US
            except Exception:  # noqa: BLE001 - a sealer may raise anything; one device must not stop the others
                unreadable.append(dev_eui)
        return unreadable

    def _restore(self, device: DeviceState, slot: int, value: bytes, counters_value: bytes) -> Session:
        stored = msgspec.msgpack.decode(value, type=Stored)
        counters = msgspec.msgpack.decode(counters_value, type=Counters)
        if counters.join_nonce != stored.join_nonce:
            raise ValueError(device.config.dev_eui)
        clear = self._sealer.open(stored.sealed, bytes.fromhex(device.config.dev_eui))
        keys = SessionKeys(clear[:KEY_BYTES], clear[KEY_BYTES:])
        return Session(device, slot, stored, keys, counters)
