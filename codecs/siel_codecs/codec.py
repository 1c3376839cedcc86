"""What a codec is to its users, and the codec that a schema makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import construct
import msgspec

from siel_codecs.errors import PayloadError
from siel_codecs.schema.to_construct import frame_construct
from siel_codecs.schema.to_python import emit_decoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siel_codecs.schema.model import Device


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One measurement; a frame of a time series carries several."""

    data: dict[str, Any]
    time_ms: int | None
    """UTC, milliseconds since 1970; None when nobody told when the frame was received."""


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What a payload says. With errors there is no data; a value that is not available is absent and has a warning."""

    data: dict[str, Any]
    """Of the newest sample."""
    units: dict[str, str]
    """Display unit per name; shared between results, not to be changed."""
    warnings: list[str]
    errors: list[str]
    samples: list[Sample]


def failed(*errors: str) -> Decoded:
    """Return the result that carries nothing but errors."""
    return Decoded({}, {}, [], list(errors), [])


class Codec(Protocol):
    """The codec of one sensor type, however it is made."""

    @property
    def name(self) -> str:
        """``vendor/device``."""

    def decode(self, f_port: int, payload: bytes, recv_ms: int | None = None) -> Decoded:
        """Take an application payload apart; never raises for what a device sent.

        Args:
            f_port: The port it came on.
            payload: In clear.
            recv_ms: When it was received, UTC in milliseconds since 1970.
        """

    def encode(self, f_port: int, data: Mapping[str, Any]) -> bytes:
        """Return the payload with these values in display units, saturated and rounded half away from zero.

        Args:
            f_port: The port it goes to.
            data: Values by name; absent or None means not available.

        Raises:
            PayloadError: A port, a name or a value that the device does not have.
        """


class SchemaCodec:
    """A codec made from a schema: generated Python decodes, the construct object encodes."""

    def __init__(self, device: Device) -> None:
        """Generate and compile; ``device`` comes from ``siel_codecs.schema.load``."""
        self.device = device
        self.source = emit_decoder(device)
        """The generated decoder, for those who want to read it."""
        self.reference = {frame.f_port: frame_construct(frame) for frame in device.frames}
        """Per port the construct object: slow, readable, what the tests compare with."""
        names: dict[str, Any] = {"Decoded": Decoded, "Sample": Sample, "failed": failed}
        code = compile(self.source, f"<codec {device.name}>", "exec")
        exec(code, names)  # noqa: S102 - made here, from names and numbers that the loader has checked
        self.decode = cast("Callable[..., Decoded]", names["decode"])

    @property
    def name(self) -> str:
        """``vendor/device``."""
        return self.device.name

    def encode(self, f_port: int, data: Mapping[str, Any]) -> bytes:
        """Return the payload with these values; see ``Codec.encode``."""
        frame = next((frame for frame in self.device.frames if frame.f_port == f_port), None)
        if frame is None:
            known = ", ".join(map(str, self.reference))
            raise PayloadError(self.name, f"port {f_port} is not one of this device (known: {known})")
        names = [field.name for field in frame.fields]
        if unknown := [name for name in data if name not in names]:
            raise PayloadError(self.name, f"there is no such value (known: {', '.join(names)})", field=unknown[0])
        try:
            return cast("bytes", self.reference[f_port].build({name: data.get(name) for name in names}))
        except PayloadError as error:
            raise PayloadError(self.name, error.reason, field=error.field) from None
        except construct.ConstructError as error:
            raise PayloadError(self.name, str(error)) from None
