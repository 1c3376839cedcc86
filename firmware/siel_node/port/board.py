# The node's board: from board.toml's words to its radio and its sensors.
from machine import ADC, I2C, UART, Pin

from siel_node.port import parts
from siel_node.port.wait import Waiter
from siel_node.sensors import a02yyuw, sht4x
from siel_node.sensors.battery import Battery

_I2C_HZ = 100000


def radio(board):
    # The driver of the node's one radio.
    wires = board["radio"][0]
    return parts.radio(wires, parts.spi(wires))


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
