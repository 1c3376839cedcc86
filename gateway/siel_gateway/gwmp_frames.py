"""What Semtech UDP says, in the gateway's own records: ``rxpk`` and RxFrame, ``txpk`` and TxWindow, words; pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from siel_gateway import gwmp
from siel_gateway.errors import GwmpError
from siel_gateway.records import Clock, Crc, Outcome, RxFrame, TxOutcome, TxRequest, TxWindow

_DATA_RATE: Final = re.compile(r"SF(5|6|7|8|9|10|11|12)BW(125|250|500)")
CODING_RATES: Final = {"4/5": 5, "4/6": 6, "2/3": 6, "4/7": 7, "4/8": 8, "1/2": 8, "2/4": 8, "OFF": 4}
"""Every spelling in use; OFF is no coding at all, 4/4."""
CRC_OF_STAT: Final[dict[int, Crc]] = {1: "ok", -1: "bad", 0: "none"}
STAT_OF_CRC: Final[dict[Crc, int]] = {crc: stat for stat, crc in CRC_OF_STAT.items()}

WORDS: Final = {
    "TOO_LATE": "TOO_LATE",
    "TOO_EARLY": "TOO_EARLY",
    "COLLISION": "COLLISION_PACKET",
    "BUSY": "COLLISION_PACKET",
    "TX_FREQ": "TX_FREQ",
    "DUTY_CYCLE": "DUTY_CYCLE_OVERFLOW",
}
"""TxOutcome.reason to ``txpk_ack.error``. The protocol has no word for a spent duty cycle; servers take this one for an
internal error, which is nearer to the truth than any word it has. All other reasons are UNKNOWN."""

OUTCOMES: Final[dict[str, tuple[Outcome, str]]] = {
    "NONE": ("queued", ""),
    "TOO_LATE": ("too_late", "TOO_LATE"),
    "TOO_EARLY": ("refused", "TOO_EARLY"),
    "COLLISION_PACKET": ("busy", "COLLISION"),
    "COLLISION_BEACON": ("busy", "COLLISION"),
    "TX_FREQ": ("refused", "TX_FREQ"),
    "DUTY_CYCLE_OVERFLOW": ("refused", "DUTY_CYCLE"),
}
"""``txpk_ack.error`` to what it says of a TxRequest. A forwarder acknowledges when it queues: never ``on_air``."""


def parse_data_rate(datr: str | int) -> tuple[int, int]:
    """Return spreading factor and bandwidth in Hz of a LoRa ``datr``.

    Raises:
        GwmpError: It is not one, for instance an FSK bit rate.
    """
    match = _DATA_RATE.fullmatch(datr) if isinstance(datr, str) else None
    if match is None:
        raise GwmpError("datr")
    return int(match[1]), int(match[2]) * 1000


def format_data_rate(spreading_factor: int, bandwidth_hz: int) -> str:
    """Return ``"SF7BW125"``."""
    return f"SF{spreading_factor}BW{bandwidth_hz // 1000}"


def parse_coding_rate(codr: str) -> int:
    """Return 5 to 8 for 4/5 to 4/8, 4 for none.

    Raises:
        GwmpError: It is no spelling in use.
    """
    # "4/8LI" and "4/5LI" are long interleaving, written by some forwarders behind the same rates.
    rate = CODING_RATES.get(codr.strip().upper().removesuffix("LI"))
    if rate is None:
        raise GwmpError("codr")
    return rate


def format_coding_rate(coding_rate: int) -> str:
    """Return ``"4/5"`` for 5."""
    return f"4/{coding_rate}" if coding_rate > 4 else "OFF"  # noqa: PLR2004 - 4/4


def rx_frame(
    packet: gwmp.RxPk,
    *,
    radio: str,
    gateway_eui: str,
    radio_session: int,
    gateway_us: int,
    received_ms: int,
    clock: Clock,
) -> RxFrame:
    """Return the frame that a packet forwarder reports.

    Raises:
        GwmpError: It is not LoRa, or a field is not what it should be.
    """
    if packet.modu.strip().upper() != "LORA":
        raise GwmpError("modu")
    spreading_factor, bandwidth_hz = parse_data_rate(packet.datr)
    return RxFrame(
        radio=radio,
        gateway_eui=gateway_eui,
        radio_session=radio_session,
        chip=max(0, packet.chan),
        counter_us=packet.tmst,
        gateway_us=gateway_us,
        received_ms=received_ms,
        clock=clock,
        frequency_hz=round(packet.freq * 1e6),
        spreading_factor=spreading_factor,
        bandwidth_hz=bandwidth_hz,
        coding_rate=parse_coding_rate(packet.codr),
        rssi_dbm=round(packet.rssi),
        snr_db=float(packet.lsnr),
        crc=CRC_OF_STAT.get(packet.stat, "bad"),
        phy_payload=gwmp.decode_data(packet.data),
        concentrator=True,
    )


def rx_packet(frame: RxFrame, tmst: int) -> gwmp.RxPk:
    """Return ``frame`` as this gateway reports it, ``tmst`` on the counter that its server knows."""
    return gwmp.RxPk(
        tmst=tmst,
        time=format_utc(frame.received_ms) if frame.clock == "gnss" else msgspec.UNSET,
        chan=frame.chip,
        freq=frame.frequency_hz / 1e6,
        stat=STAT_OF_CRC[frame.crc],
        datr=format_data_rate(frame.spreading_factor, frame.bandwidth_hz),
        codr=format_coding_rate(frame.coding_rate),
        lsnr=round(frame.snr_db, 1),
        rssi=frame.rssi_dbm,
        size=len(frame.phy_payload),
        data=gwmp.encode_data(frame.phy_payload),
    )


def tx_window(packet: gwmp.TxPk, counter_us: int | None) -> TxWindow:
    """Return where and how a server wants ``packet`` sent.

    Args:
        packet: The server's.
        counter_us: Its ``tmst`` on the radio's own counter, None for "now".

    Raises:
        GwmpError: It is not LoRa with an explicit header, or a field is not what it should be.
    """
    if packet.modu.strip().upper() != "LORA" or packet.nhdr:
        raise GwmpError("modu")
    spreading_factor, bandwidth_hz = parse_data_rate(packet.datr)
    return TxWindow(
        counter_us=counter_us,
        frequency_hz=round(packet.freq * 1e6),
        spreading_factor=spreading_factor,
        bandwidth_hz=bandwidth_hz,
        coding_rate=parse_coding_rate(packet.codr),
        power_dbm=int(packet.powe // 1),
    )


def tx_packet(request: TxRequest, window: TxWindow) -> gwmp.TxPk:
    """Return the order to a packet forwarder to send ``request`` in ``window``."""
    return gwmp.TxPk(
        imme=window.counter_us is None,
        tmst=msgspec.UNSET if window.counter_us is None else window.counter_us,
        freq=window.frequency_hz / 1e6,
        powe=window.power_dbm,
        datr=format_data_rate(window.spreading_factor, window.bandwidth_hz),
        codr=format_coding_rate(window.coding_rate),
        ipol=request.invert_iq,
        prea=request.preamble,
        ncrc=not request.crc,
        size=len(request.phy_payload),
        data=gwmp.encode_data(request.phy_payload),
    )


def tx_ack_word(outcome: TxOutcome) -> str:
    """Return the ``txpk_ack.error`` that says truly what became of a downlink."""
    if outcome.outcome in ("on_air", "queued"):
        return "NONE"
    return WORDS.get(outcome.reason or outcome.outcome.upper(), "UNKNOWN")


def format_utc(utc_ms: int) -> str:
    """Return ``"2020-10-01T09:30:52.592000Z"``."""
    return datetime.fromtimestamp(utc_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{utc_ms % 1000:03}000Z"


def format_stat_time(utc_ms: int) -> str:
    """Return ``"2014-01-12 08:59:28 GMT"``."""
    return datetime.fromtimestamp(utc_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S GMT")
