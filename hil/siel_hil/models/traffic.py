"""A transmitter that nobody configured: puts any frame on air at any moment, and hears nothing."""

from __future__ import annotations

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
    ) -> Transmission:
        """Put a frame on air now, as an end device does: standard IQ, CRC, preamble of eight symbols."""
        tx = Transmission(
            self.station,
            frequency_hz,
            spreading_factor,
            bandwidth_hz,
            payload,
            ldro=needs_ldro(spreading_factor, bandwidth_hz),
            power_dbm=power_dbm,
        )
        self.medium.transmit(tx)
        return tx
