"""What a radio model must hold to, as checks for any chip class: they pass for ``SX1262`` and catch a wrong one.

Each check builds its own small world, drives the chip by raw SPI commands and raises ``ConformanceError`` with the fact
that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from siel_hil.errors import HilError
from siel_hil.medium import Medium
from siel_hil.medium_air import Station, Transmission
from siel_hil.medium_physics import OULU, needs_ldro, noise_dbm
from siel_hil.models.sx1262 import SX1262
from siel_hil.models.sx1262_tables import IRQ_CRC_ERR, IRQ_RX_DONE
from siel_hil.world import World

ChipClass = type[SX1262]
FREQUENCY_HZ: Final = 868_100_000
_BANDWIDTH_CODES: Final = {125_000: 4, 250_000: 5, 500_000: 6}
_SECOND_US: Final = 1_000_000
_PAYLOAD: Final = bytes.fromhex("40010203040000000102030405060708")


class ConformanceError(HilError):
    """A chip model does what no chip does."""


class Probe:
    """A chip on its own board, driven by raw commands as a careful driver sends them.

    Args:
        chip_class: The model under test.
        world: Where it lives; an own one if not given.
        medium: Its air.
        station: Where it stands.
        cold: Leave the chip as it comes out of reset.
        **options: For the chip.
    """

    def __init__(
        self,
        chip_class: ChipClass = SX1262,
        *,
        world: World | None = None,
        medium: Medium | None = None,
        station: Station | None = None,
        cold: bool = False,
        tcxo_start_us: int | None = None,
    ) -> None:
        self.world = world or World(1)
        self.medium = medium or Medium(self.world)
        self.chip = chip_class(
            self.world, self.medium, station or Station("probe", "gateway"), tcxo_start_us=tcxo_start_us
        )
        self.edges: list[int] = []
        self.chip.on_dio1 = lambda: self.edges.append(self.world.now_us)
        if not cold:
            self.set_up()

    def wait(self, us: int) -> None:
        """Let time pass."""
        self.world.run(self.world.now_us + us)

    def command(self, *mosi: int | bytes, read: int = 0) -> bytes:
        """Wait for BUSY, send one transaction, and return the last ``read`` bytes of the answer."""
        if not self.chip.asleep and self.chip.busy_until_us > self.world.now_us:
            self.world.run(self.chip.busy_until_us)
        return self.raw(b"".join(bytes((part,)) if isinstance(part, int) else part for part in mosi), read)

    def raw(self, mosi: bytes, read: int = 0) -> bytes:
        """Send one transaction at once, BUSY or not."""
        now_us = self.world.now_us
        self.chip.select(now_us)
        answer = self.chip.transfer(now_us, mosi + bytes(read)) if mosi else b""
        self.chip.deselect(now_us)
        return answer[len(answer) - read :]

    def set_up(self) -> None:
        """Do what every driver does after a reset, errata included."""
        self.command(0x80, 0)
        self.command(0x9D, 1)
        self.command(0x8A, 1)
        self.command(0x98, b"\xd7\xdb")
        self.command(0x0D, b"\x07\x40\x34\x44")
        self.command(0x0D, b"\x08\xd8\xde")
        self.command(0x95, b"\x04\x07\x00\x01")
        self.command(0x8E, 14, 4)
        self.command(0x08, b"\x02\x63\x02\x63\x00\x00\x00\x00")
        self.command(0x80, 1)

    def configure(
        self,
        *,
        frequency_hz: int = FREQUENCY_HZ,
        spreading_factor: int = 7,
        bandwidth_hz: int = 125_000,
        coding_rate: int = 5,
        invert_iq: bool = False,
        length: int = 255,
        crc: bool = True,
        ldro: bool | None = None,
        iq_register: int | None = None,
    ) -> None:
        """Set frequency, modulation and packet, with errata 15.1 and 15.4 as they should be unless told otherwise."""
        self.command(0x86, (frequency_hz * (1 << 25) // 32_000_000).to_bytes(4, "big"))
        optimise = needs_ldro(spreading_factor, bandwidth_hz) if ldro is None else ldro
        self.command(0x8B, spreading_factor, _BANDWIDTH_CODES[bandwidth_hz], coding_rate - 4, optimise)
        self.command(0x8C, b"\x00\x08\x00", length, crc, invert_iq)
        self.command(0x0D, b"\x07\x36", (0x09 if invert_iq else 0x0D) if iq_register is None else iq_register)
        self.command(0x0D, b"\x08\x89", 0x01 if bandwidth_hz == 500_000 else 0x05)  # noqa: PLR2004 - the erratum's bandwidth

    def listen(self, timer: int = 0xFFFFFF) -> None:
        """Start reception: continuous, or with a timer in steps of 15.625 us."""
        self.command(0x82, timer.to_bytes(3, "big"))
        self.wait(200)

    def send(self, payload: bytes = _PAYLOAD) -> None:
        """Send a frame with the settings of the last ``configure``, whose length must fit."""
        self.command(0x8F, 0, 128)
        self.command(0x0E, 0, payload)
        self.command(0x83, b"\x00\x00\x00")

    def take_irq(self) -> int:
        """Return the interrupts that are set and clear them."""
        irq = self.command(0x12, read=3)[1:]
        self.command(0x02, irq)
        return int.from_bytes(irq, "big")

    def frame(self) -> bytes:
        """Return the last frame that came in."""
        length, start = self.command(0x13, read=3)[1:]
        return self.command(0x1E, start, read=length + 1)[1:]

    def packet_status(self) -> tuple[float, float, float]:
        """Return RSSI, SNR and signal RSSI in dB as a driver computes them."""
        rssi, snr, signal = self.command(0x14, read=4)[1:]
        return -rssi / 2, (snr - 256 if snr > 127 else snr) / 4, -signal / 2  # noqa: PLR2004 - a signed byte


class InAir(Protocol):
    """Whatever has its chip in a medium."""

    medium: Medium


class Beacon:
    """A transmitter without a chip at a chosen signal strength, to try a receiver with.

    Args:
        probe: Whose air it uses.
        snr_db: How strong its frames are at the origin, over the noise of 125 kHz.
    """

    def __init__(self, probe: InAir, snr_db: float = 10.0, name: str = "beacon") -> None:
        self.medium = probe.medium
        self.station = Station(name, "node", (1000.0, 0.0))
        self.power_dbm = noise_dbm(125_000) + snr_db + probe.medium.path_loss.at(1000.0)

    def send(
        self,
        spreading_factor: int = 7,
        payload: bytes = _PAYLOAD,
        *,
        frequency_hz: int = FREQUENCY_HZ,
        bandwidth_hz: int = 125_000,
        invert_iq: bool = False,
        sync_word: int = 0x3444,
        crc: bool = True,
        coding_rate: int = 5,
        ldro: bool | None = None,
    ) -> Transmission:
        """Put a frame on air now."""
        tx = Transmission(
            self.station,
            frequency_hz,
            spreading_factor,
            bandwidth_hz,
            payload,
            coding_rate=coding_rate,
            invert_iq=invert_iq,
            sync_word=sync_word,
            crc=crc,
            ldro=needs_ldro(spreading_factor, bandwidth_hz) if ldro is None else ldro,
            power_dbm=self.power_dbm,
        )
        self.medium.transmit(tx)
        return tx


def _hears(chip_class: ChipClass, send: Callable[[Beacon], object], spreading_factor: int = 7) -> bool:
    probe = Probe(chip_class)
    probe.configure(spreading_factor=spreading_factor)
    probe.listen()
    send(Beacon(probe))
    probe.wait(4 * _SECOND_US)
    return bool(probe.take_irq() & IRQ_RX_DONE)


def _demand(holds: bool, fact: str) -> None:
    if not holds:
        raise ConformanceError(fact)


def check_receives_only_its_own_sf(chip_class: ChipClass) -> None:
    """Demand that a chip set to one spreading factor hears that one and no other, alone or two at once."""
    for own in (7, 9, 12):
        for sent in range(7, 13):
            heard = _hears(chip_class, lambda beacon, sf=sent: beacon.send(sf), own)  # type: ignore[misc]
            _demand(heard == (sent == own), f"set to SF{own}, a frame at SF{sent} was {'' if heard else 'not '}heard")
    probe = Probe(chip_class)
    probe.configure(spreading_factor=7)
    probe.listen()
    for sf in (7, 8):
        Beacon(probe, name=f"beacon{sf}").send(sf)
    probe.wait(4 * _SECOND_US)
    _demand(probe.chip.stats["rx"] == 1, "two frames of two spreading factors at once were both heard")


def check_receives_only_its_own_channel(chip_class: ChipClass) -> None:
    """Demand a quarter of the bandwidth as frequency tolerance, and one bandwidth."""
    for offset_hz in (0, 31_000, -31_000):
        heard = _hears(chip_class, lambda beacon, hz=offset_hz: beacon.send(frequency_hz=FREQUENCY_HZ + hz))  # type: ignore[misc]
        _demand(heard, f"a frame {offset_hz} Hz off was not heard")
    for offset_hz in (32_000, -32_000, 200_000):
        heard = _hears(chip_class, lambda beacon, hz=offset_hz: beacon.send(frequency_hz=FREQUENCY_HZ + hz))  # type: ignore[misc]
        _demand(not heard, f"a frame {offset_hz} Hz off was heard")
    _demand(not _hears(chip_class, lambda beacon: beacon.send(bandwidth_hz=250_000)), "another bandwidth was heard")


def check_receives_only_its_own_iq(chip_class: ChipClass) -> None:
    """Demand that a frame of the other IQ polarity is not heard."""
    _demand(not _hears(chip_class, lambda beacon: beacon.send(invert_iq=True)), "inverted IQ was heard as standard")


def check_receives_only_its_own_network(chip_class: ChipClass) -> None:
    """Demand that a frame with another sync word is not heard."""
    _demand(not _hears(chip_class, lambda beacon: beacon.send(sync_word=0x1424)), "a private sync word was heard")


def check_follows_one_frame(chip_class: ChipClass) -> None:
    """Demand that a locked receiver stays with its frame, and that a stronger one only destroys it."""
    probe = Probe(chip_class)
    probe.configure()
    probe.listen()
    Beacon(probe, 0.0, "first").send()
    probe.wait(30_000)
    Beacon(probe, 20.0, "second").send()
    probe.wait(_SECOND_US)
    _demand(probe.chip.stats["rx"] == 1, "a locked receiver took a second frame")
    _demand(
        probe.take_irq() & (IRQ_RX_DONE | IRQ_CRC_ERR) == IRQ_RX_DONE | IRQ_CRC_ERR, "a destroyed frame looked good"
    )


def check_is_deaf_while_sending(chip_class: ChipClass) -> None:
    """Demand half duplex."""
    probe = Probe(chip_class)
    probe.configure(length=len(_PAYLOAD))
    probe.listen()
    probe.send()
    Beacon(probe).send()
    probe.wait(_SECOND_US)
    _demand(probe.chip.stats["rx"] == 0, "a frame was heard while sending")


def check_hears_no_weaker_than_the_floor(chip_class: ChipClass) -> None:
    """Demand the SNR floor of each spreading factor, 0.1 dB to both sides."""
    for spreading_factor, floor_db in ((7, -7.5), (8, -10.0), (9, -12.5), (10, -15.0), (11, -17.5), (12, -20.0)):
        for margin_db, expected in ((0.1, True), (-0.1, False)):
            probe = Probe(chip_class, medium=None)
            probe.configure(spreading_factor=spreading_factor)
            probe.listen()
            Beacon(probe, floor_db + margin_db).send(spreading_factor)
            probe.wait(4 * _SECOND_US)
            heard = bool(probe.take_irq() & IRQ_RX_DONE)
            _demand(heard is expected, f"SF{spreading_factor} at {margin_db:+} dB of its floor: heard {heard}")


def check_ignores_commands_while_busy(chip_class: ChipClass) -> None:
    """Demand that a command during BUSY has no effect and is noted."""
    probe = Probe(chip_class)
    probe.command(0x89, 0x7F) if probe.chip.mode == 2 else probe.command(0x98, b"\xd7\xdb")  # noqa: PLR2004 - STDBY_RC
    probe.raw(b"\x0d\x07\x40\x12\x34")
    _demand(probe.command(0x1D, b"\x07\x40", read=3)[1:] == b"\x34\x44", "a command during BUSY was carried out")
    _demand(probe.chip.violation_counts["protocol"] == 1, "a command during BUSY was not noted")


def check_warm_sleep_loses_what_is_not_on_the_list(chip_class: ChipClass) -> None:
    """Demand that 0x0736, 0x0889 and 0x08AC survive a warm sleep only on the retention list, settings always."""
    for listed in (False, True):
        probe = Probe(chip_class)
        probe.configure(spreading_factor=9, invert_iq=True)
        if listed:
            probe.command(0x0D, b"\x02\x9f\x03\x08\xac\x08\x89\x07\x36")
        probe.command(0x0E, 0, b"frame")
        probe.command(0x84, 4)
        probe.wait(_SECOND_US)
        probe.raw(b"")
        register = probe.command(0x1D, b"\x07\x36", read=2)[1]
        _demand(
            register == (0x09 if listed else 0x0D), f"0x0736 = 0x{register:02x} after a warm sleep, listed: {listed}"
        )
        _demand(probe.chip.settings.spreading_factor == 9, "a warm sleep lost the modulation")  # noqa: PLR2004 - as set above
        _demand(probe.command(0x1E, 0, read=6)[1:] == bytes(5), "the data buffer survived sleep")


CHECKS: Final = (
    check_receives_only_its_own_sf,
    check_receives_only_its_own_channel,
    check_receives_only_its_own_iq,
    check_receives_only_its_own_network,
    check_follows_one_frame,
    check_is_deaf_while_sending,
    check_hears_no_weaker_than_the_floor,
    check_ignores_commands_while_busy,
    check_warm_sleep_loses_what_is_not_on_the_list,
)
assert OULU.reference_m == 1000.0  # noqa: S101, PLR2004 - Beacon stands there
