# From board.toml's words to machine's objects. The only module of the node that imports machine.
from machine import ADC, I2C, SPI, UART, Pin

from siel_node.port.wait import Waiter
from siel_node.radio.sx126x import SX126x
from siel_node.sensors import a02yyuw, sht4x
from siel_node.sensors.battery import Battery

_SPI_BAUD = 8000000
_I2C_HZ = 100000


def radio(board):
    # The driver of the node's one radio.
    wires = board["radio"][0]
    spi = SPI(
        wires["spi"],
        baudrate=_SPI_BAUD,
        sck=Pin(wires["sck"]),
        mosi=Pin(wires["mosi"]),
        miso=Pin(wires["miso"]),
    )
    return SX126x(
        spi,
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


def sensors(board):
    # Everything with read(readings): one per [[sensor]], and the supply where [battery] says how to read it.
    found = [_SENSORS[sensor["kind"]](sensor) for sensor in board.get("sensor", ())]
    if "battery" in board:
        found.append(Battery(ADC(Pin(board["battery"]["adc"])), board["battery"]["full_mv"]))
    return found


def _a02yyuw(sensor):
    uart = UART(sensor["uart"], a02yyuw.BAUD, tx=Pin(sensor["tx"]), rx=Pin(sensor["rx"]))
    power = Pin(sensor["power"], Pin.OUT, value=0) if "power" in sensor else None
    waiter = Waiter()
    waiter.add(uart)
    return a02yyuw.A02yyuw(uart, power, waiter)


def _sht4x(sensor):
    i2c = I2C(sensor["i2c"], sda=Pin(sensor["sda"]), scl=Pin(sensor["scl"]), freq=_I2C_HZ)
    return sht4x.Sht4x(i2c, sensor.get("address", sht4x.ADDRESS))


_SENSORS = {"a02yyuw": _a02yyuw, "sht4x": _sht4x}
