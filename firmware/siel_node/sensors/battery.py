# Supply voltage by the microcontroller's own converter behind a divider.
from siel_node._compat import const

# mypy's eyes only: the compiler drops the branch
TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from typing import Any


class Battery:
    # full_mv: the supply that reads as full scale, that is the reference times the divider.
    def __init__(self, adc: "Any", full_mv: int) -> None:
        self._adc = adc
        self._full_mv = full_mv

    def read(self, readings: "dict[str, int]") -> None:
        readings["battery_mv"] = (self._adc.read_u16() * self._full_mv + 32767) // 65535
