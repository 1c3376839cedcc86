# Sensirion SHT40, SHT41, SHT43, SHT45: temperature and humidity on I2C. Source: SHT4x datasheet version 6.
from siel_node._compat import const, sleep_ms

# mypy's eyes only: the compiler drops the branch
TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from typing import Any

ADDRESS = const(0x44)
_MEASURE = b"\xfd"  # high precision; at most 8.3 ms
_SERIAL = b"\x89"
_WAIT_MS = const(10)
_TRIES = const(2)


def crc8(data: bytes | bytearray | memoryview) -> int:
    # Polynomial 0x31, start 0xFF, not reflected. Source: datasheet 4.4
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def words(data: bytes | bytearray) -> tuple[int, int] | None:
    # The two 16-bit words of an answer, None when a checksum does not fit.
    view = memoryview(data)
    if len(data) != 6 or crc8(view[0:2]) != data[2] or crc8(view[3:5]) != data[5]:
        return None
    return data[0] << 8 | data[1], data[3] << 8 | data[4]


def temperature_centi(raw: int) -> int:
    # 0.01 degC, half away from zero. -45 + 175 * raw / 65535, reduced by 5 so that it stays a small integer.
    return _rounded(3500 * raw - 4500 * 13107)


def humidity_centi(raw: int) -> int:
    # 0.01 %, half away from zero, cut to 0 to 100 as the datasheet asks. -6 + 125 * raw / 65535
    return max(0, min(10000, _rounded(2500 * raw - 600 * 13107)))


def _rounded(numerator: int) -> int:
    # numerator / 13107
    half = 6553
    return (numerator + half) // 13107 if numerator >= 0 else -((half - numerator) // 13107)


class Sht4x:
    # i2c: machine.I2C
    def __init__(self, i2c: "Any", address: int = ADDRESS) -> None:
        self._i2c = i2c
        self._address = address
        self._answer = bytearray(6)

    def read(self, readings: "dict[str, int]") -> None:
        # Sets temperature_centi and humidity_centi; leaves them out when the sensor does not answer properly.
        found = self._ask(_MEASURE)
        if found:
            readings["temperature_centi"] = temperature_centi(found[0])
            readings["humidity_centi"] = humidity_centi(found[1])

    def serial(self) -> int:
        # The sensor's serial number, -1 when it does not answer; for a self-check.
        found = self._ask(_SERIAL)
        return found[0] << 16 | found[1] if found else -1

    def _ask(self, command: bytes) -> tuple[int, int] | None:
        for _ in range(_TRIES):
            try:
                self._i2c.writeto(self._address, command)
                sleep_ms(_WAIT_MS)
                self._i2c.readfrom_into(self._address, self._answer)
            except OSError:
                continue
            found = words(self._answer)
            if found:
                return found
        return None
