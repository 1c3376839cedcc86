"""Who may transmit when: every downlink of every origin passes here, and its outcome is what truly happened.

:class:`Timetable` decides for one radio, pure; :class:`Arbiter` tries a request's windows in order and waits for the
radio's word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec
import structlog

from siel_gateway.records import TxOutcome, TxRequest, TxWindow
from siel_head import schedule
from siel_node.duty_cycle import DutyCycle
from siel_node.lora import airtime_us
from siel_node.region_eu868 import SUB_BANDS, sub_band

HEAD_LEAD_US: Final = 30_000 + schedule.PREPARE_US
"""The longest request takes 25 ms on a serial line at 115200 baud, the clocks may be some ms apart; then the head wants
its own time to prepare a chip."""
HEAD_GUARD_US: Final = schedule.GUARD_US
CONCENTRATOR_LEAD_US: Final = 42_500
"""Source: lora_pkt_fwd 2.1.0, jitqueue.c: TX start 1.5 ms, margin 1 ms, pre-delay 40 ms."""
CONCENTRATOR_GUARD_US: Final = CONCENTRATOR_LEAD_US + 1
"""Source: the same; packets collide up to and including this distance."""
MAX_AHEAD_US: Final = 16_000_000
"""RECEIVE_DELAY1 is 15 s at most, RX2 one second later. Source: TS001-1.0.4 section 5.7."""
MAX_AIRTIME_US: Final = 4_000_000
"""Longer than any LoRaWAN frame; heads refuse it too."""
RETRY_OUTCOMES: Final = frozenset({"refused", "too_late", "busy"})
"""After these the frame was not on air, so the next window may be tried."""

log = structlog.get_logger("siel.arbiter")


class Transmitter(Protocol):
    """A radio, as far as the arbiter needs it."""

    @property
    def connected(self) -> bool:
        """Whether it can be asked to transmit now."""
        ...

    @property
    def radio_session(self) -> int | None:
        """Changes when the radio's counter starts anew; None before the first start."""
        ...

    @property
    def lead_us(self) -> int:
        """How long before the start of a transmission it must have the request."""
        ...

    @property
    def guard_us(self) -> int:
        """How long one of its transmitters needs between two transmissions."""
        ...

    def gateway_us(self, counter_us: int) -> int | None:
        """Return the gateway's clock at a value of the radio's counter, the nearest; None while that is unknown."""
        ...

    async def transmit(self, request: TxRequest, window: TxWindow) -> TxOutcome:
        """Transmit in ``window`` and say what happened; never raises for what the radio does."""
        ...


class Booking(msgspec.Struct, frozen=True):
    """A transmission that is queued or running."""

    start_us: int
    end_us: int
    chip: int | None = None
    """Of a head; None stands for any, as for a concentrator, which has one transmitter."""


class Timetable:
    """The transmissions of one radio, on the gateway's clock.

    Args:
        guard_us: What the radio needs between two of one chip, and a head's processor between two starts.
    """

    def __init__(self, guard_us: int) -> None:
        self._guard_us = guard_us
        self._bookings: list[Booking] = []
        self._duty_cycle = DutyCycle()

    def refusal(self, window: TxWindow, booking: Booking, now_us: int, lead_us: int) -> str | None:
        """Return why ``window`` cannot be used, in a word of :attr:`TxOutcome.reason`, None when it can.

        Args:
            window: Where and how; ``counter_us`` None means at once.
            booking: When that is.
            now_us: The gateway's clock.
            lead_us: How long before its start the radio must know.
        """
        length_us = booking.end_us - booking.start_us
        slack_us = booking.start_us - now_us
        refusals: dict[str, Callable[[], bool]] = {
            "TOO_LATE": lambda: window.counter_us is not None and slack_us < lead_us,
            "TOO_EARLY": lambda: slack_us > MAX_AHEAD_US,
            "TX_FREQ": lambda: not _inside_a_band(window),
            "AIRTIME": lambda: length_us > MAX_AIRTIME_US,
            "COLLISION": lambda: self._collides(booking, now_us),
            "DUTY_CYCLE": lambda: self._over_budget(window, length_us, now_us),
        }
        return next((reason for reason, holds in refusals.items() if holds()), None)

    def _over_budget(self, window: TxWindow, length_us: int, now_us: int) -> bool:
        wait_s: int = self._duty_cycle.wait_s(now_us // 1_000_000, window.frequency_hz, length_us)
        return wait_s != 0

    def _collides(self, new: Booking, now_us: int) -> bool:
        self._bookings = [booking for booking in self._bookings if booking.end_us + self._guard_us > now_us]
        return any(self._overlap(new, booking) for booking in self._bookings)

    def _overlap(self, one: Booking, other: Booking) -> bool:
        """The rule of the head itself. Source: siel_head.schedule."""
        guard_us = self._guard_us
        if one.chip != other.chip and one.chip is not None and other.chip is not None:
            return abs(one.start_us - other.start_us) < guard_us
        return one.start_us < other.end_us + guard_us and other.start_us < one.end_us + guard_us

    def book(self, window: TxWindow, booking: Booking) -> None:
        """Take the time for a transmission, and its share of the hour."""
        self._bookings.append(booking)
        self._duty_cycle.spend(booking.start_us // 1_000_000, window.frequency_hz, booking.end_us - booking.start_us)

    def release(self, booking: Booking) -> None:
        """Give the time of a transmission back that did not happen; its share of the hour stays spent, to be safe."""
        if booking in self._bookings:
            self._bookings.remove(booking)


def _inside_a_band(window: TxWindow) -> bool:
    half_hz = window.bandwidth_hz // 2
    band = sub_band(window.frequency_hz)
    if band < 0:
        return False
    first_hz, last_hz = SUB_BANDS[band][:2]
    return window.frequency_hz - half_hz >= first_hz and window.frequency_hz + half_hz <= last_hz


class Arbiter:
    """Puts requests on air.

    Args:
        radios: By name.
        monotonic_us: The gateway's clock.

    Attributes:
        counters: ``requested``, and one per outcome.
        refused: How often a window could not be used, per reason.
    """

    def __init__(self, radios: Mapping[str, Transmitter], monotonic_us: Callable[[], int]) -> None:
        self.counters: Counter[str] = Counter(requested=0, on_air=0, queued=0)
        self.refused: Counter[str] = Counter()
        self._radios = radios
        self._monotonic_us = monotonic_us
        self._timetables = {name: Timetable(radio.guard_us) for name, radio in radios.items()}

    async def submit(self, request: TxRequest) -> TxOutcome:
        """Try the windows of ``request`` in order and return the outcome of the last one tried.

        Never raises: whoever asked waits for an outcome. What fails in the middle ends as ``unknown``.
        """
        self.counters["requested"] += 1
        outcome = TxOutcome(id=request.id, outcome="refused", reason="NO_RADIO")
        radio = self._radios.get(request.radio)
        if radio is not None and not request.windows:
            outcome = TxOutcome(id=request.id, outcome="too_late", reason="TOO_LATE")
        if radio is not None:
            for window in request.windows:
                outcome = await self._try(radio, self._timetables[request.radio], request, window)
                if outcome.outcome not in RETRY_OUTCOMES:
                    break
                self.refused[outcome.reason or "OTHER"] += 1
        else:
            self.refused["NO_RADIO"] += 1
        self.counters[outcome.outcome] += 1
        _audit(request, outcome)
        return outcome

    async def _try(self, radio: Transmitter, timetable: Timetable, request: TxRequest, window: TxWindow) -> TxOutcome:
        now_us = self._monotonic_us()
        start_us = now_us if window.counter_us is None else radio.gateway_us(window.counter_us)
        restarted = request.radio_session is not None and request.radio_session != radio.radio_session
        if not radio.connected or start_us is None or restarted:
            return TxOutcome(id=request.id, outcome="refused", reason="NO_RADIO", window=window)
        length_us = airtime_us(
            window.spreading_factor,
            window.bandwidth_hz,
            len(request.phy_payload),
            request.crc,
            window.coding_rate,
            request.preamble,
        )
        booking = Booking(start_us, start_us + length_us, request.chip)
        reason = timetable.refusal(window, booking, now_us, radio.lead_us)
        if reason is not None:
            return TxOutcome(
                id=request.id,
                outcome="too_late" if reason == "TOO_LATE" else "refused",
                reason=reason,
                window=window,
                slack_us=start_us - now_us,
            )
        timetable.book(window, booking)
        try:
            outcome = await radio.transmit(request, window)
        except Exception:  # a fault of ours; who asked waits for an outcome, and gets one
            log.error("transmit_failed", id=request.id, radio=request.radio, exc_info=True)
            return TxOutcome(id=request.id, outcome="unknown", reason="OTHER", window=window)
        if outcome.outcome in RETRY_OUTCOMES:
            timetable.release(booking)
        return outcome


def _audit(request: TxRequest, outcome: TxOutcome) -> None:
    window = outcome.window
    log.info(
        "downlink",
        id=request.id,
        origin=request.origin,
        radio=request.radio,
        dev_eui=request.dev_eui,
        length=len(request.phy_payload),
        outcome=outcome.outcome,
        reason=outcome.reason,
        slack_us=outcome.slack_us,
        window=window.name if window is not None else None,
        frequency_hz=window.frequency_hz if window is not None else None,
        spreading_factor=window.spreading_factor if window is not None else None,
    )
