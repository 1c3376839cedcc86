"""The air between all radios: who hears what, and a named cause for every frame that nobody hears.

Modelled: airtime, log-distance path loss, noise, SNR floor, same-SF capture with the worst instant's power sum, the
preamble's critical section, receiver lock, half duplex. Different spreading factors, bandwidths or IQ polarities do not
disturb each other: ``Medium.needed_db`` is the place for an inter-SF table. Fading and blocking by strong neighbours on
other channels are not modelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from siel_hil.medium_air import (
    ABORTED,
    BELOW_FLOOR,
    BUSY,
    CAUSES,
    COLLISION,
    CRC_ERROR,
    GATEWAY_BUSY,
    GATEWAY_TRANSMITTING,
    LOCKED,
    NODE_BUSY,
    NODE_NOT_LISTENING,
    NOT_LISTENING,
    RADIO_IDLE,
    RECEIVED,
    SEARCHING,
    Cause,
    Receiver,
    Reception,
    Station,
    Transmission,
)
from siel_hil.medium_physics import (
    CAPTURE_DB,
    FREQUENCY_TOLERANCE,
    HEADER_SYMBOLS,
    OULU,
    PREAMBLE_SYMBOLS_NEEDED,
    SNR_FLOOR_DB,
    SYNC_WORD_SYMBOLS_X4,
    PathLoss,
    Position,
    milliwatts,
    noise_dbm,
)
from siel_hil.medium_report import Kind, Tally, dev_addr, kind_of
from siel_hil.world import World

_RANK: Final = {cause: rank for rank, cause in enumerate(CAUSES)}
_TOP_RANK: Final = len(CAUSES)
_LOST_AT_START: Final = (SEARCHING, COLLISION, BUSY)

__all__ = ["Medium", "Receiver", "Reception", "Station", "Transmission"]


class Medium:
    """Carries transmissions between stations, in the world's time.

    Args:
        world: Where it lives.
        path_loss: The law that turns distance into loss.
        capture_db: How far a frame must exceed the power sum of same-SF interference, at its worst instant.
        preamble_symbols_needed: Undisturbed preamble symbols a receiver needs to find a frame.
    """

    def __init__(
        self,
        world: World,
        path_loss: PathLoss = OULU,
        *,
        capture_db: float = CAPTURE_DB,
        preamble_symbols_needed: int = PREAMBLE_SYMBOLS_NEEDED,
    ) -> None:
        self.world = world
        self.path_loss = path_loss
        self.capture_db = capture_db
        self.preamble_symbols_needed = preamble_symbols_needed
        self.tally = Tally()
        self.on_event: list[Callable[[str, dict[str, Any]], None]] = []
        """Called with "transmit", "uplink", "downlink", "duty_cycle" or "power" and what a display wants to know."""
        self._receivers: list[Receiver] = []
        self._gateways: list[Receiver] = []
        self._air: list[Transmission] = []
        self._number = 0
        self._losses: dict[tuple[Position, Position], float] = {}
        self._addresses: dict[int, str] = {}

    def attach(self, receiver: Receiver) -> None:
        """Let ``receiver`` hear; the order of attaching is the order of events at equal times."""
        self._receivers.append(receiver)
        if receiver.station.role == "gateway":
            self._gateways.append(receiver)
        self.tally.add_station(receiver.station)

    def detach(self, receiver: Receiver) -> None:
        """Take a receiver out of the world."""
        self._receivers.remove(receiver)
        if receiver in self._gateways:
            self._gateways.remove(receiver)

    def report(self) -> dict[str, Any]:
        """Return the figures of what was on air; see ``Tally.report``."""
        return self.tally.report()

    # --- physics ----------------------------------------------------------------------------------------------

    def rssi_dbm(self, tx: Transmission, at: Station) -> float:
        """Return the power of ``tx`` at the connector of a station's antenna."""
        key = (tx.station.position, at.position)
        loss = self._losses.get(key)
        if loss is None:
            distance_m = math.dist(*key)
            loss = self._losses[key] = self.path_loss.at(distance_m)
            if distance_m < self.path_loss.clamp_m:
                self.world.log("medium", "path_loss_clamped", sender=tx.station.name, receiver=at.name)
        return tx.power_dbm + tx.station.antenna_gain_db + at.antenna_gain_db - loss

    def power_dbm(self, at: Station, frequency_hz: int, bandwidth_hz: int) -> float:
        """Return noise and signals in a channel at a station now, as RSSI shows them."""
        power = milliwatts(noise_dbm(bandwidth_hz))
        for tx in self._air:
            if tx.t1_us > self.world.now_us and abs(tx.frequency_hz - frequency_hz) <= bandwidth_hz // 2:
                power += milliwatts(self.rssi_dbm(tx, at))
        return 10.0 * math.log10(power)

    def needed_db(self, wanted: Transmission, other: Transmission) -> float | None:
        """Return how far ``wanted`` must exceed ``other`` to survive it; None when they do not disturb each other."""
        if (
            wanted.spreading_factor != other.spreading_factor
            or wanted.bandwidth_hz != other.bandwidth_hz
            or wanted.invert_iq is not other.invert_iq
            or abs(wanted.frequency_hz - other.frequency_hz) > FREQUENCY_TOLERANCE * wanted.bandwidth_hz
        ):
            return None
        return self.capture_db

    def survives(self, tx: Transmission, at: Station, from_us: int, to_us: int) -> bool:
        """Say whether ``tx`` exceeds its interference at ``at`` at every instant between two times."""
        disturbing: list[tuple[int, int, float]] = []
        for other in tx.overlaps:
            if other.t0_us < to_us and other.t1_us > from_us and other.station is not at:
                needed = self.needed_db(tx, other)
                if needed is not None:
                    disturbing.append(
                        (max(other.t0_us, from_us), other.t1_us, milliwatts(self.rssi_dbm(other, at) + needed))
                    )
        if not disturbing:
            return True
        wanted = milliwatts(self.rssi_dbm(tx, at))
        # the sum only grows where somebody starts, so those instants are enough
        return all(
            sum(power for t0_us, t1_us, power in disturbing if t0_us <= instant < t1_us) <= wanted
            for instant, _t1, _power in disturbing
        )

    # --- a frame's way ----------------------------------------------------------------------------------------

    def transmit(self, tx: Transmission) -> None:
        """Put ``tx`` on air now."""
        world, kind = self.world, kind_of(tx)
        self._number += 1
        tx.number = self._number
        tx.t0_us = world.now_us
        tx.t1_us = tx.end_us = world.now_us + tx.airtime_us()
        for other in self._air:
            if other.t1_us > tx.t0_us and self.needed_db(tx, other) is not None:
                tx.overlaps.append(other)
                other.overlaps.append(tx)
        self._air.append(tx)
        if kind in {"data", "join"} and (address := dev_addr(tx.payload, uplink=True)) is not None:
            self._addresses[address] = tx.station.name
        self.tally.start(tx, kind)
        self._accuse("power", self.tally.audit.radiate(tx))
        world.log(
            "medium",
            "transmit",
            number=tx.number,
            station=tx.station.name,
            frequency_hz=tx.frequency_hz,
            spreading_factor=tx.spreading_factor,
            bandwidth_hz=tx.bandwidth_hz,
            power_cdbm=round(100 * tx.power_dbm),
            invert_iq=int(tx.invert_iq),
            airtime_us=tx.t1_us - tx.t0_us,
            payload=tx.payload,
        )
        world.at(tx.after_symbols_us(4 * PREAMBLE_SYMBOLS_NEEDED), self._first_chance, tx)
        world.at(tx.after_symbols_us(4 * tx.preamble), self._last_chance, tx)
        world.at(tx.end_us, self._end, tx, kind)
        if self.on_event:
            self._tell("transmit", tx, kind=kind)

    def cut(self, tx: Transmission) -> None:
        """Stop radiating ``tx`` now; who follows it decodes noise from here on."""
        if self.world.now_us < tx.t1_us:
            tx.t1_us = self.world.now_us
            self.world.log("medium", "cut", number=tx.number)

    def _first_chance(self, tx: Transmission) -> None:
        """Five symbols are over: who listened from the start finds it now, who came later five symbols after that."""
        latest_us = self._critical_us(tx)
        for receiver in self._receivers:
            if receiver.receiving_since_us is None or receiver.station is tx.station:
                continue
            since_us = receiver.searching_since_us
            if since_us <= tx.t0_us:
                self._try(tx, receiver, tx.t0_us, since_us)
            elif since_us <= latest_us and not receiver.mismatch(tx):
                detected_us = self.world.now_us + since_us - tx.t0_us
                self.world.at(detected_us, self._try, tx, receiver, since_us, since_us)

    def _last_chance(self, tx: Transmission) -> None:
        """The preamble is over: who was free for its critical section and has not found it finds it now."""
        latest_us = self._critical_us(tx)
        for receiver in self._receivers:
            if receiver.receiving_since_us is None or receiver.station is tx.station:
                continue
            since_us = receiver.searching_since_us
            reception = tx.receptions.get(receiver)
            if since_us <= latest_us and (reception is None or reception.state in _LOST_AT_START):
                self._try(tx, receiver, latest_us, since_us)

    def _critical_us(self, tx: Transmission) -> int:
        return tx.after_symbols_us(4 * max(0, tx.preamble - self.preamble_symbols_needed))

    def _try(self, tx: Transmission, receiver: Receiver, from_us: int, since_us: int) -> None:
        """Let ``receiver``, if it has searched since ``since_us``, find the preamble that it heard from ``from_us``."""
        if receiver.receiving_since_us is None or receiver.searching_since_us != since_us or receiver.mismatch(tx):
            return
        reception = tx.receptions.get(receiver)
        if reception is None:
            rssi_dbm = self.rssi_dbm(tx, receiver.station)
            reception = Reception(tx, receiver, rssi_dbm, rssi_dbm - noise_dbm(tx.bandwidth_hz))
            tx.receptions[receiver] = reception
        if reception.state == LOCKED:
            return
        if reception.snr_db < SNR_FLOOR_DB[tx.spreading_factor]:
            reception.state = BELOW_FLOOR
        elif tx.t1_us < self.world.now_us or not self.survives(tx, receiver.station, from_us, self.world.now_us):
            reception.state = COLLISION
        elif receiver.preamble(reception):
            reception.state = LOCKED
            header_x4 = 4 * tx.preamble + SYNC_WORD_SYMBOLS_X4 + 4 * HEADER_SYMBOLS
            self.world.at(tx.after_symbols_us(header_x4), self._header, reception)
        else:
            reception.state = BUSY

    def _header(self, reception: Reception) -> None:
        if reception.state != LOCKED:
            return
        tx = reception.tx
        start_us = tx.after_symbols_us(4 * tx.preamble + SYNC_WORD_SYMBOLS_X4)
        intact = tx.t1_us >= self.world.now_us and self.survives(
            tx, reception.receiver.station, start_us, self.world.now_us
        )
        if not reception.receiver.header(reception, intact):
            reception.state = CRC_ERROR if intact or tx.t1_us < self.world.now_us else COLLISION

    def _end(self, tx: Transmission, kind: Kind) -> None:
        self._air.remove(tx)
        if tx.t1_us > tx.t0_us:
            audit = self.tally.audit
            self._accuse("duty_cycle", audit.spend(tx.station.name, tx.frequency_hz, tx.t0_us, tx.t1_us))
        start_us = self._critical_us(tx)
        for reception in tx.receptions.values():
            if reception.state == LOCKED:
                survived = self.survives(tx, reception.receiver.station, start_us, tx.t1_us)
                # the state is set first: finish may change the receiver, which must not abort what is over
                reception.state = SEARCHING
                good = reception.receiver.finish(reception, survived and tx.t1_us == tx.end_us)
                reception.state = RECEIVED if good else CRC_ERROR if survived else COLLISION
        if kind == "downlink":
            self._judge_downlink(tx)
        else:
            self._judge_uplink(tx, kind)
        # receptions and overlaps refer to each other; a run of days must not wait for the collector
        tx.receptions.clear()
        tx.overlaps.clear()

    # --- verdicts ---------------------------------------------------------------------------------------------

    def _verdict_at(self, tx: Transmission, receiver: Receiver) -> Cause:  # noqa: PLR0911 - one return for each cause
        """Return ``received`` or why this receiver did not get ``tx``."""
        reception = tx.receptions.get(receiver)
        state = SEARCHING if reception is None else reception.state
        if state in {RECEIVED, BELOW_FLOOR, COLLISION, CRC_ERROR}:
            return state
        if mismatch := receiver.mismatch(tx):
            return mismatch
        rssi_dbm = self.rssi_dbm(tx, receiver.station) if reception is None else reception.rssi_dbm
        if rssi_dbm - noise_dbm(tx.bandwidth_hz) < SNR_FLOOR_DB[tx.spreading_factor]:
            return BELOW_FLOOR
        sent_from_us, sent_to_us = receiver.transmitted_us
        if sent_from_us < tx.end_us and sent_to_us > tx.t0_us:
            return GATEWAY_TRANSMITTING
        in_time = receiver.receiving_since_us is not None and receiver.receiving_since_us <= self._critical_us(tx)
        if state == ABORTED or (state != BUSY and not in_time):
            return RADIO_IDLE
        if not self.survives(tx, receiver.station, self._critical_us(tx), tx.t1_us):
            return COLLISION
        return GATEWAY_BUSY

    def _judge_uplink(self, tx: Transmission, kind: Kind) -> None:
        verdict, rank, best = NOT_LISTENING, -1, ""
        rssi_dbm = snr_db = 0.0
        gateways: dict[str, str] = {}
        for receiver in self._gateways:
            cause = gateways[receiver.name] = self._verdict_at(tx, receiver)
            here = _TOP_RANK if cause == RECEIVED else _RANK[cause]
            power = self.rssi_dbm(tx, receiver.station)
            if here > rank or (here == rank and power > rssi_dbm):
                verdict, rank, best, rssi_dbm = cause, here, receiver.name, power
                snr_db = power - noise_dbm(tx.bandwidth_hz)
        self.tally.end(tx, kind, verdict, None)
        self.world.log("medium", "uplink", number=tx.number, verdict=verdict, at=best, rssi_cdbm=round(100 * rssi_dbm))
        if self.on_event:
            self._tell(
                "uplink", tx, kind=kind, verdict=verdict, at=best, rssi_dbm=rssi_dbm, snr_db=snr_db, gateways=gateways
            )

    def _judge_downlink(self, tx: Transmission) -> None:
        address = dev_addr(tx.payload, uplink=False)
        target = self._addresses.get(address) if address is not None else None
        verdict, rank, node = NODE_NOT_LISTENING, -1, target
        rssi_dbm = 0.0
        for receiver, reception in tx.receptions.items():
            name = receiver.station.name
            if receiver.station.role != "node" or (target is not None and name != target):
                continue
            cause = reception.state
            if cause in {SEARCHING, LOCKED, ABORTED}:
                cause = NODE_NOT_LISTENING
            elif cause == BUSY:
                cause = NODE_BUSY
            here = _TOP_RANK if cause == RECEIVED else _RANK.get(cause, 0)
            if here > rank:
                verdict, rank, node, rssi_dbm = cause, here, name, reception.rssi_dbm
        self.tally.end(tx, "downlink", verdict, node)
        self.world.log(
            "medium",
            "downlink",
            number=tx.number,
            verdict=verdict,
            node=node or "",
            rssi_cdbm=round(100 * rssi_dbm),
        )
        if self.on_event:
            self._tell("downlink", tx, kind="downlink", verdict=verdict, node=node, rssi_dbm=rssi_dbm)

    def _accuse(self, law: str, violation: dict[str, Any] | None) -> None:
        if violation is not None:
            self.world.log("medium", law, **violation)
            for hook in self.on_event:
                hook(law, violation)

    def _tell(self, event: str, tx: Transmission, **more: Any) -> None:
        info = {
            "number": tx.number,
            "station": tx.station.name,
            "t0_us": tx.t0_us,
            "t1_us": tx.t1_us,
            "frequency_hz": tx.frequency_hz,
            "spreading_factor": tx.spreading_factor,
            "bandwidth_hz": tx.bandwidth_hz,
            "payload": tx.payload,
            **more,
        }
        for hook in self.on_event:
            hook(event, info)
