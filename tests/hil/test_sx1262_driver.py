"""Our driver on the chip model: it breaks no rule, and one with the IQ erratum the wrong way round is caught."""

from __future__ import annotations

import pytest

from siel_hil.medium import Medium, Station, Transmission
from siel_hil.models.sx1262 import SX1262
from siel_hil.world import World
from siel_node.radio import sx126x
from siel_node.radio.sx126x import RX_DONE, RX_TIMEOUT, TX_DONE, SX126x

FREQUENCY_HZ = 868_100_000
TCXO_US = 5000
POLL_US = 10


class Bench:
    """A driver and its chip on one clock; each look at a pin costs 10 us."""

    IRQ_RISING = 8

    def __init__(self, monkeypatch: pytest.MonkeyPatch, driver_class: type[SX126x] = SX126x) -> None:
        self.world = World(2)
        self.medium = Medium(self.world)
        self.chip = SX1262(self.world, self.medium, Station("node", "node"), tcxo_start_us=3000)
        self.chip.on_dio1 = lambda: self.handler(None)
        self.handler = lambda pin: None
        monkeypatch.setattr(sx126x, "sleep_ms", lambda ms: self.pass_us(1000 * ms))
        monkeypatch.setattr(sx126x, "sleep_us", self.pass_us)
        monkeypatch.setattr(sx126x, "ticks_us", lambda: self.world.now_us)
        self.driver = driver_class(self, self.cs, self.busy, self, self.reset, tcxo_mv=1800, tcxo_us=TCXO_US)
        self.driver.init()

    def pass_us(self, us: int) -> None:
        self.world.run(self.world.now_us + us)

    # the pins
    def cs(self, value: int) -> None:
        (self.chip.deselect if value else self.chip.select)(self.world.now_us)

    def busy(self) -> int:
        self.pass_us(POLL_US)
        return int(self.world.now_us < self.chip.busy_until_us)

    def reset(self, value: int) -> None:
        if not value:
            self.chip.reset(self.world.now_us)

    def __call__(self) -> int:
        return self.chip.dio1_level

    def irq(self, handler: object, trigger: int) -> None:
        self.handler = handler  # type: ignore[assignment]

    # the bus
    def write(self, data: bytes) -> None:
        self.chip.transfer(self.world.now_us, bytes(data))

    def write_readinto(self, out: bytes, into: bytearray) -> None:
        into[:] = self.chip.transfer(self.world.now_us, bytes(out))

    def readinto(self, into: bytearray, write: int = 0) -> None:
        into[:] = self.chip.transfer(self.world.now_us, bytes((write,)) * len(into))

    def uplink_and_window(self, *, answered: bool) -> int:
        """Send, listen for the answer in RX1, sleep; return what the window brought."""
        driver, world = self.driver, self.world
        driver.prepare_tx(FREQUENCY_HZ, 7, 125_000, b"\x40" + bytes(20))
        driver.start_tx()
        self.pass_us(100_000)
        assert driver.poll() == TX_DONE
        sent_us = driver.irq_us
        driver.sleep()
        driver.prepare_rx(FREQUENCY_HZ, 7, 125_000, symbols=24)
        if answered:
            gateway = Station("gw", "gateway", (500.0, 0.0))
            answer = Transmission(gateway, FREQUENCY_HZ, 7, 125_000, b"\x60" + bytes(15), invert_iq=True, crc=False)
            world.at(sent_us + 1_000_000, self.medium.transmit, answer)
        self.pass_us(sent_us + 990_000 - world.now_us)
        driver.start_rx()
        self.pass_us(200_000)
        result = driver.poll()
        if result == RX_DONE:
            assert driver.read()[0] == b"\x60" + bytes(15)
        driver.sleep()
        return result


def test_the_driver_breaks_no_rule_over_windows_and_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    results = [bench.uplink_and_window(answered=answered) for answered in (True, False, True)]
    assert results == [RX_DONE, RX_TIMEOUT, RX_DONE]
    assert bench.chip.violations == []
    assert bench.chip.settings.dcdc


class WrongIqDriver(SX126x):
    """Sets bit 2 of 0x0736 for inverted IQ and clears it for standard, as micropython-lib's driver does."""

    def _set_bit_2(self, register: int, base: int, on: bool) -> None:
        super()._set_bit_2(register, base, not on if register == 0x0736 else on)


def test_a_driver_with_the_wrong_iq_bit_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, WrongIqDriver)
    assert bench.uplink_and_window(answered=True) == RX_DONE
    assert [(violation.kind, violation.rule) for violation in bench.chip.violations] == [("errata", "15.4")] * 2


class DriverWithoutRetention(SX126x):
    """Forgets that a warm sleep loses registers."""

    def _write(self, command: bytes, data: bytes | None = None) -> None:
        if command[:3] != b"\x0d\x02\x9f" and not (self.forgetful and command[:3] == b"\x0d\x07\x36"):
            super()._write(command, data)

    forgetful = False


def test_registers_lost_in_sleep_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, DriverWithoutRetention)
    driver = bench.driver
    assert isinstance(driver, DriverWithoutRetention)
    driver.prepare_rx(FREQUENCY_HZ, 7, 125_000)
    driver.forgetful = True
    for sleeps, violations in ((False, 0), (True, 1)):
        if sleeps:
            driver.sleep()
            bench.pass_us(1000)
        driver.prepare_rx(FREQUENCY_HZ, 7, 125_000)
        driver.start_rx()
        assert bench.chip.errata_violations == violations
