# What boards of both kinds are made of: from the words of a board.toml to machine's objects.
from machine import SPI, WDT, Pin

from siel_node.radio.sx126x import SX126x

_SPI_HZ = 8000000
_WATCHDOG_MS = 8000  # 8.3 s is all an RP2040 can do


def spi(wires):
    # The bus that a [[radio]] is on.
    return SPI(
        wires["spi"],
        baudrate=_SPI_HZ,
        sck=Pin(wires["sck"]),
        mosi=Pin(wires["mosi"]),
        miso=Pin(wires["miso"]),
    )


def radio(wires, bus):
    # The driver of a [[radio]].
    return SX126x(
        bus,
        Pin(wires["cs"], Pin.OUT, value=1),
        Pin(wires["busy"], Pin.IN),
        Pin(wires["dio1"], Pin.IN),
        Pin(wires["reset"], Pin.OUT, value=1),
        tcxo_mv=wires.get("tcxo_mv", 0),
        tcxo_us=wires.get("tcxo_us", 5000),
        dio2_rf_switch=wires.get("dio2_rf_switch", True),
        dcdc=wires.get("dcdc", True),
        max_dbm=wires.get("max_dbm", 22),
        antenna_gain_db=wires.get("antenna_gain_db", 0),
    )


def watchdog():
    # Runs from now on: whoever asks for it feeds it, or is reset.
    return WDT(timeout=_WATCHDOG_MS)
