"""The two receive windows of a class A device, as the radio that heard it sees them."""

from __future__ import annotations

from typing import Final

from siel_gateway.records import RxFrame, TxWindow
from siel_node.region_eu868 import (
    DATA_RATES,
    JOIN_ACCEPT_DELAY1_S,
    MAX_PAYLOAD_BYTES,
    RX2_DR,
    RX2_FREQUENCY_HZ,
    data_rate,
    rx1_dr,
)

RX1_DR_OFFSET: Final = 0
JOIN_DELAY_S: Final = JOIN_ACCEPT_DELAY1_S
_COUNTER_MASK: Final = 0xFFFFFFFF


def receive_windows(frame: RxFrame, delay_s: int, now_us: int) -> tuple[TxWindow, ...]:
    """Return RX1 and RX2 after ``frame``, without those that have begun already.

    Args:
        frame: What the device sent; its counter stands at the end of the frame.
        delay_s: From there to RX1; RX2 is one second later. Source: TS001-1.0.4 section 3.3.
        now_us: The gateway's clock.
    """
    windows = []
    dr = data_rate(frame.spreading_factor, frame.bandwidth_hz)
    if dr >= 0 and now_us < frame.gateway_us + delay_s * 1_000_000:
        windows.append(_window("RX1", frame, delay_s, frame.frequency_hz, rx1_dr(dr, RX1_DR_OFFSET)))
    if now_us < frame.gateway_us + (delay_s + 1) * 1_000_000:
        windows.append(_window("RX2", frame, delay_s + 1, RX2_FREQUENCY_HZ, RX2_DR))
    return tuple(windows)


def _window(name: str, frame: RxFrame, delay_s: int, frequency_hz: int, dr: int) -> TxWindow:
    spreading_factor, bandwidth_hz = DATA_RATES[dr]
    return TxWindow(
        counter_us=(frame.counter_us + delay_s * 1_000_000) & _COUNTER_MASK,
        frequency_hz=frequency_hz,
        spreading_factor=spreading_factor,
        bandwidth_hz=bandwidth_hz,
        name=name,
    )


def room_bytes(window: TxWindow) -> int:
    """Return how many bytes of FOpts and FRMPayload a data frame in ``window`` may carry.

    Source: RP002-1.0.4, table "EU863-870 maximum payload size".
    """
    return MAX_PAYLOAD_BYTES[data_rate(window.spreading_factor, window.bandwidth_hz)]
