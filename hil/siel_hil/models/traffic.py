"""A transmitter that nobody configured: puts any frame on air at any moment, and hears nothing."""

from __future__ import annotations

from typing import Any

from siel_hil.medium import Medium
from siel_hil.medium_air import Station, Transmission
from siel_hil.medium_physics import needs_ldro


class TrafficNode:
    """A neighbour's device, an attacker, a recorded frame.

    Args:
        medium: Its air.
        name: In logs and reports.
        position_m: Where it stands.
    """

    def __init__(self, medium: Medium, name: str, position_m: tuple[float, float]) -> None:
        self.medium = medium
        self.station = Station(name, "node", position_m)

    def send(
        self,
        payload: bytes,
        *,
        frequency_hz: int = 868_100_000,
        spreading_factor: int = 7,
        bandwidth_hz: int = 125_000,
        power_dbm: float = 14.0,
        invert_iq: bool = False,
    ) -> Transmission:
        """Put a frame on air now, as an end device does: CRC, a preamble of eight symbols, standard IQ unless told."""
        tx = Transmission(
            self.station,
            frequency_hz,
            spreading_factor,
            bandwidth_hz,
            payload,
            ldro=needs_ldro(spreading_factor, bandwidth_hz),
            power_dbm=power_dbm,
            invert_iq=invert_iq,
        )
        self.medium.transmit(tx)
        return tx

    def send_at(self, t_us: int, payload: bytes, **settings: Any) -> None:
        """Put a frame on air at a time; ``settings`` are those of ``send``."""

        def go() -> None:
            self.send(payload, **settings)

        self.medium.world.at(t_us, go)
