# Collects and runs the cases of a script under whichever interpreter started it; one line per case on stdout.
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CASES: "list[Callable[[], None]]" = []


def case(function: "Callable[[], None]") -> "Callable[[], None]":
    CASES.append(function)
    return function


def equal(found: object, expected: object, what: str = "") -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found!r} is not {expected!r}")


def run() -> None:
    for function in CASES:
        name = function.__name__
        try:
            function()
        except Exception as error:  # noqa: BLE001 - every failure becomes the case's line
            sys.stdout.write(f"FAIL {name}: {type(error).__name__}: {error}\n")
        else:
            sys.stdout.write(f"ok {name}\n")
