"""What a codec is to its users, and the codec that a schema makes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import msgspec

from siel_codecs.schema.to_python import emit_python

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siel_codecs.schema.model import Device
    from siel_codecs.schema.to_construct import Reference

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One measurement; a frame of a time series carries several."""

    data: dict[str, Any]
    time_ms: int | None
    """UTC, milliseconds since 1970; None where neither the frame nor its receiver told."""
    age_ms: int | None = 0
    """Before the newest sample; None where it is not known, or the sample has a time of its own."""
    warnings: list[str] = []
    own_time: bool = False
    """Whether ``time_ms`` comes from the payload, not from when it was received."""


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What a payload says. With errors there is no data; a value that is not available is absent and has a warning."""

    data: dict[str, Any]
    """Of the newest sample."""
    units: dict[str, str]
    """Display unit per name; shared between results, not to be changed."""
    warnings: list[str]
    """Of the frame and its newest sample in wire order, then of older samples, then what was left over."""
    errors: list[str]
    samples: list[Sample]


class Downlink(msgspec.Struct, frozen=True):
    """An application payload for a device."""

    f_port: int
    payload: bytes


def failed(*errors: str) -> Decoded:
    """Return the result that carries nothing but errors."""
    return Decoded({}, {}, [], list(errors), [])


def as_ts013(decoded: Decoded) -> dict[str, Any]:
    """Return the data as a TS013 decoder gives it: with ``samples`` where there are several or one has its own time."""
    samples = decoded.samples
    if len(samples) < 2 and not any(sample.own_time for sample in samples):  # noqa: PLR2004 - one is no series
        return decoded.data
    return {**decoded.data, "samples": [_ts013_sample(sample) for sample in samples]}


def _ts013_sample(sample: Sample) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if sample.time_ms is not None:
        try:
            moment = _EPOCH + timedelta(milliseconds=sample.time_ms)
            found["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        except OverflowError:  # a caller's recv_ms beyond the calendar
            pass
    if sample.age_ms is not None:
        found["age_s"] = sample.age_ms / 1000 if sample.age_ms % 1000 else sample.age_ms // 1000
    return found | sample.data


class Codec(Protocol):
    """The codec of one sensor type, however it is made."""

    @property
    def name(self) -> str:
        """``vendor/device``."""

    def decode(self, f_port: int, payload: bytes, recv_ms: int | None = None) -> Decoded:
        """Take an uplink's application payload apart; never raises for what a device sent.

        Args:
            f_port: The port it came on.
            payload: In clear.
            recv_ms: When it was received, UTC in milliseconds since 1970.
        """

    def encode(self, f_port: int, data: Mapping[str, Any]) -> bytes:
        """Return the uplink payload with these values, as the device would send it.

        Args:
            f_port: The port it goes to.
            data: Values by name in display units; absent or None means not available.

        Raises:
            PayloadError: A port, a name or a value that the device does not have.
        """

    def decode_downlink(self, f_port: int, payload: bytes) -> Decoded:
        """Take a downlink's application payload apart; ``data["command"]`` names it where commands have names."""

    def encode_downlink(self, data: Mapping[str, Any], f_port: int | None = None) -> Downlink:
        """Return the downlink that carries a command.

        Args:
            data: ``command`` and its values by name in display units; ``command`` may be missing if there is only one.
            f_port: The port it must go to; None: the command's own.

        Raises:
            PayloadError: A port, a command, a name or a value that the device does not take.
        """


class SchemaCodec:
    """A codec made from a schema: generated Python decodes and encodes."""

    def __init__(self, device: Device) -> None:
        """Generate and compile.

        Args:
            device: From ``siel_codecs.schema.load``.

        Raises:
            EmitError: Something that Python code cannot be made for.
        """
        self.device = device
        self.source = emit_python(device)
        """The generated code, for those who want to read it."""
        names: dict[str, Any] = {"Decoded": Decoded, "Sample": Sample, "Downlink": Downlink, "failed": failed}
        code = compile(self.source, f"<codec {device.name}>", "exec")
        exec(code, names)  # noqa: S102 - made here; texts of the schema stand in it as literals only
        self.decode = cast("Callable[..., Decoded]", names["decode"])
        self.encode = cast("Callable[[int, Mapping[str, Any]], bytes]", names["encode"])
        self.decode_downlink = cast("Callable[[int, bytes], Decoded]", names["decode_downlink"])
        self.encode_downlink = cast("Callable[..., Downlink]", names["encode_downlink"])

    @property
    def name(self) -> str:
        """``vendor/device``."""
        return self.device.name

    @cached_property
    def reference(self) -> Reference:
        """The same four methods by construct objects: slow, readable, what the tests compare with."""
        from siel_codecs.schema.to_construct import Reference  # noqa: PLC0415 - construct costs memory; tests need it

        return Reference(self.device)
