"""Which session an uplink belongs to, and whether it is new, late, a copy, a repeat or a replay.

Frames count in the order in which they were on air, by the radios' stamps. Heads deliver their stores one after the
other once the daemon is back, so a lower counter may come after a higher one and yet be no replay: it was heard first.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Final

import msgspec

from siel_codecs.lorawan import MIC_BYTES, DataFrame, data_mic
from siel_gateway.edge.sessions import Session
from siel_gateway.records import RxFrame

COPY_US: Final = 200_000
"""Two radios stamp one transmission within this; a device cannot repeat so soon, its RX1 opens a second later."""
REPEAT_US: Final = 120_000_000
MAX_REPEAT_ANSWERS: Final = 15
LATE_FRAMES: Final = 64
"""So far below the last counter a frame that was heard before it is still taken."""
_TAKEN_MASK: Final = (1 << LATE_FRAMES) - 1
_EPOCH: Final = 0x10000


class Kind(Enum):
    """What a proven uplink is."""

    NEW = "uplinks"
    LATE = "late"
    """Heard before the last accepted one and never taken before: only its delivery was late."""
    COPY = "copies"
    REPEAT = "repeats"
    REPLAY = "replays"


class Proven(msgspec.Struct, frozen=True):
    """An uplink whose MIC fits ``session``."""

    session: Session
    f_cnt: int
    """All 32 bits."""
    kind: Kind
    digest: bytes
    """Of the frame as on air."""


def is_copy(frame: RxFrame, first_us: int) -> bool:
    """Say whether ``frame`` is the same transmission as one heard at ``first_us`` with the same bytes."""
    return abs(frame.gateway_us - first_us) <= COPY_US


def prove(frame: RxFrame, data: DataFrame, sessions: tuple[Session, ...]) -> Proven | None:
    """Find the session whose MIC fits; None when there is none.

    Args:
        frame: The uplink as heard.
        data: The same, taken apart.
        sessions: All with its DevAddr, which is not unique.
    """
    body = frame.phy_payload[:-MIC_BYTES]
    for session in sessions:
        for f_cnt in _candidates(session.counters.f_cnt_up, data.f_cnt):
            if data_mic(session.nwk_s_key, body, data.dev_addr, f_cnt, True) == data.mic:
                digest = hashlib.sha256(frame.phy_payload).digest()[:16]
                return Proven(session, f_cnt, _kind(frame, session, f_cnt, digest), digest)
    return None


def _candidates(last: int, f_cnt: int) -> list[int]:
    # The next one up that ends in these 16 bits, and below the last one those of this and the previous epoch, where a
    # repeat or replay lies. TS001-1.0.4 dropped MAX_FCNT_GAP: any step forward is fine when the MIC fits.
    if last < 0:
        return [f_cnt]
    same_epoch = last - last % _EPOCH + f_cnt
    around = (same_epoch, same_epoch - _EPOCH) if same_epoch > last else (same_epoch, same_epoch + _EPOCH)
    return [value for value in around if 0 <= value < 1 << 32]


def _kind(frame: RxFrame, session: Session, f_cnt: int, digest: bytes) -> Kind:
    counters = session.counters
    behind = counters.f_cnt_up - f_cnt
    if behind < 0:
        return Kind.NEW
    if behind == 0 and digest == counters.digest:
        if is_copy(frame, counters.time_us):
            return Kind.COPY
        return Kind.REPEAT if abs(frame.gateway_us - counters.time_us) <= REPEAT_US else Kind.REPLAY
    if 0 < behind <= LATE_FRAMES and frame.gateway_us < counters.time_us:
        return Kind.COPY if counters.taken >> behind - 1 & 1 else Kind.LATE
    return Kind.REPLAY


def accept(frame: RxFrame, proven: Proven) -> None:
    """Book a frame of kind NEW or LATE in its session's counters."""
    counters = proven.session.counters
    step = proven.f_cnt - counters.f_cnt_up
    if proven.kind is Kind.LATE:
        counters.taken |= 1 << -step - 1
        return
    first = counters.f_cnt_up < 0
    counters.taken = 0 if first or step > LATE_FRAMES else (counters.taken << 1 | 1) << step - 1 & _TAKEN_MASK
    counters.f_cnt_up, counters.digest, counters.time_us = proven.f_cnt, proven.digest, frame.gateway_us
    counters.answers = 0
