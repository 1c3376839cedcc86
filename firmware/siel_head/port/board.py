# From board.toml's words to machine's objects. The only module of the head that imports machine.
import machine
from machine import SPI, UART, Pin

from siel_node.radio.sx126x import SX126x

# How late a soft interrupt's stamp can be: a garbage collection on an RP2040 takes 4 to 10 ms.
STAMP_ERROR_US = 10000
# More than a second of the line's slowest use: the processor looks away for 15 ms before a transmission.
_RX_BUFFER_BYTES = 1024
_TX_BUFFER_BYTES = 1024
_SPI_BAUD = 8000000
# Names of machine's reset causes in the order of link.RESET_CAUSES, from 1; ports lack some.
_CAUSES = ("PWRON_RESET", "HARD_RESET", "WDT_RESET", "DEEPSLEEP_RESET", "SOFT_RESET")


def radios(board):
    # One driver per [[radio]] of the board; several may share a bus.
    buses = {}
    found = []
    for radio in board["radio"]:
        bus = radio["spi"]
        if bus not in buses:
            wires = {name: Pin(radio[name]) for name in ("sck", "mosi", "miso")}
            buses[bus] = SPI(bus, baudrate=_SPI_BAUD, **wires)
        found.append(
            SX126x(
                buses[bus],
                Pin(radio["cs"], Pin.OUT, value=1),
                Pin(radio["busy"], Pin.IN),
                Pin(radio["dio1"], Pin.IN),
                Pin(radio["reset"], Pin.OUT, value=1),
                tcxo_mv=radio.get("tcxo_mv", 0),
                tcxo_us=radio.get("tcxo_us", 5000),
                dio2_rf_switch=radio.get("dio2_rf_switch", True),
                dcdc=radio.get("dcdc", True),
                max_dbm=radio.get("max_dbm", 22),
            )
        )
    return found


def line(board):
    # (UART to the host, its baud rate)
    wires = board["line"]
    baud = wires.get("baud", 115200)
    uart = UART(wires["id"], baud)
    uart.init(
        baudrate=baud,
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


def watchdog():
    return machine.WDT(timeout=8000)  # 8.3 s is all an RP2040 can do
