"""Chips as board.toml names them: the right model, and firmware that reaches it through its pins."""

from __future__ import annotations

from pathlib import Path

import pytest

from siel_hil import image
from siel_hil.errors import HilError, ImageError
from siel_hil.medium import Medium, Station
from siel_hil.models.chips import fit_chip
from siel_hil.models.conformance import Probe
from siel_hil.models.sx1262 import SX1262
from siel_hil.models.sx1276 import SX1276
from siel_hil.pins import Pins, Wiring
from siel_hil.stage import Stage, spi_pins
from siel_hil.world import World

SX1262_RADIO = {"chip": "sx1262", "spi": 0, "cs": 1, "busy": 2, "dio1": 3, "reset": 4, "tcxo_us": 0}
SX1276_RADIO = {"chip": "sx1276", "spi": 0, "cs": 1, "dio0": 2, "dio1": 3, "reset": 4}
MAIN = """
import time
from machine import Pin, SPI

spi = SPI(0)
cs = Pin(1, Pin.OUT, value=1)
reset = Pin(4, Pin.OUT, value=0)
edges = []


def read(address, n=1):
    data = bytearray(n + 1)
    data[0] = address
    cs(0)
    spi.write_readinto(data, data)
    cs(1)
    return data[1:]


def write(address, *data):
    cs(0)
    spi.write(bytes((address | 0x80,) + data))
    cs(1)


def heard(pin):
    edges.append((pin.id, time.ticks_us()))


time.sleep_ms(1)
reset(1)
time.sleep_ms(5)
dio0, dio1 = Pin(2), Pin(3)
dio0.irq(heard, Pin.IRQ_RISING)
dio1.irq(heard, Pin.IRQ_RISING)
print(read(0x42).hex())
for trace in (
    "0180 0189 06d90666 098c 1e74 3143 3934 2f40 3000 4040 0e00 2205 0068656c6c6f 1f06 018b"
).split():
    trace = bytes.fromhex(trace)
    write(trace[0], *trace[1:])
time.sleep_ms(100)
print(edges[0][0], dio0(), dio1(), read(0x12).hex())
write(0x12, 0xFF)
write(0x40, 0x00)
print(dio0())
write(0x01, 0x8E)
time.sleep_ms(100)
print(edges[1][0], edges[1][1] // 1000, dio0(), dio1(), read(0x12).hex())
time.sleep(9)
"""


def test_the_model_is_the_one_that_the_board_names() -> None:
    world = World(1)
    medium = Medium(world)
    assert type(fit_chip(world, medium, Station("a", "node"), SX1262_RADIO)) is SX1262
    assert type(fit_chip(world, medium, Station("b", "node"), SX1276_RADIO)) is SX1276
    with pytest.raises(ImageError, match="'sx1301'"):
        fit_chip(world, medium, Station("c", "node"), {"chip": "sx1301"})


def test_each_chip_has_the_pins_that_its_table_names() -> None:
    assert spi_pins(SX1262_RADIO) == {"cs": 1, "busy": 2, "dio1": 3, "reset": 4}
    assert spi_pins(SX1276_RADIO) == {"cs": 1, "dio0": 2, "dio1": 3, "reset": 4}


def test_more_interrupt_lines_than_the_exchange_has_are_refused() -> None:
    world = World(1)
    medium = Medium(world)
    chips = [SX1276(world, medium, Station(f"n{n}", "node")) for n in range(3)]
    with pytest.raises(HilError, match="6 interrupt lines"):
        Pins(world, Wiring(spi=[(chip, spi_pins(SX1276_RADIO)) for chip in chips]), lambda: None)


def test_firmware_reaches_an_sx1276_through_its_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def small_image(board: str, into: Path, cache: Path, changes: object) -> Path:
        into.mkdir(parents=True)
        (into / "main.py").write_text(MAIN)
        return into

    monkeypatch.setattr(image, "stage", small_image)
    world, lines = World(1), list[str]()
    medium = Medium(world)
    gateway = Probe(world=world, medium=medium, station=Station("gateway", "gateway", (100.0, 0.0)))
    gateway.configure()
    gateway.listen()
    chip = fit_chip(world, medium, Station("node", "node"), SX1276_RADIO)
    wiring = Wiring(spi=[(chip, spi_pins(SX1276_RADIO))])
    board = Stage(tmp_path).build(world, "node", "small", wiring, {}, lines.append)
    board.power_on()
    try:
        world.run(world.now_us + 400_000)
    finally:
        board.power_off()
    assert gateway.frame() == b"hello"
    assert lines[:3] == ["12", "2 1 0 08", "0"]
    line, at_ms, dio0, dio1, irq = lines[3].split()
    assert (line, dio0, dio1, irq) == ("3", "0", "1", "80")
    assert 100 < int(at_ms) < 200
    assert chip.violations == []
