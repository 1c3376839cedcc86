# The head's board: from board.toml's words to its radios and its line.
import machine
from machine import UART, Pin

from siel_node.port import parts

# How late a soft interrupt's stamp can be: a garbage collection on an RP2040 takes 4 to 10 ms.
STAMP_ERROR_US = 10000
# More than a second of the line's slowest use: the processor looks away for 15 ms before a transmission.
_RX_BUFFER_BYTES = 1024
_TX_BUFFER_BYTES = 1024
# Names of machine's reset causes in the order of link.RESET_CAUSES, from 1; ports lack some.
_CAUSES = ("PWRON_RESET", "HARD_RESET", "WDT_RESET", "DEEPSLEEP_RESET", "SOFT_RESET")


def radios(board):
    # One driver per [[radio]] of the board; several may share a bus.
    buses = {}
    found = []
    for wires in board["radio"]:
        if wires["spi"] not in buses:
            buses[wires["spi"]] = parts.spi(wires)
        found.append(parts.radio(wires, buses[wires["spi"]]))
    return found


def line(board):
    # (UART to the host, its baud rate)
    wires = board["line"]
    baud = wires.get("baud", 115200)
    uart = UART(
        wires["id"],
        baud,
        tx=Pin(wires["tx"]),
        rx=Pin(wires["rx"]),
        rxbuf=_RX_BUFFER_BYTES,
        txbuf=_TX_BUFFER_BYTES,
    )
    return uart, baud


def reset_cause():
    # An index of link.RESET_CAUSES.
    cause = machine.reset_cause()
    for index, name in enumerate(_CAUSES):
        if getattr(machine, name, None) == cause:
            return index + 1
    return 0
