"""What decoding costs, beside the readable construct objects that say the same. Prints; asserts equality only.

Goal: a whole uplink (parse, MIC, decrypt, payload) in 20 us.
"""

from __future__ import annotations

from timeit import Timer
from typing import TYPE_CHECKING, Any

import pytest

from siel_codecs import registry
from siel_codecs.codec import SchemaCodec
from siel_codecs.lorawan import DataFrame, crypt_payload, data_mic, encode_data_up, parse_phy
from siel_codecs.lorawan.layout import PHY_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable

NWK_S_KEY, APP_S_KEY = bytes(range(16)), bytes(range(16, 32))
DEV_ADDR = 0x02345678
ROUNDS = 7


def best_us(call: Callable[[], Any]) -> float:
    """Return the fastest of some rounds, per call: the others tell about the machine, not about the code."""
    timer = Timer(call)
    calls, _ = timer.autorange()
    return min(timer.repeat(ROUNDS, calls)) / calls * 1e6


def tell(what: str, us: float, slow_us: float | None = None) -> None:
    against = "" if slow_us is None else f"; construct {slow_us:.2f} us, {slow_us / us:.0f} times that"
    print(f"\n{what}: {us:.2f} us{against}")


def schema_codec(name: str) -> SchemaCodec:
    codec = registry.load(name)
    assert isinstance(codec, SchemaCodec)
    return codec


def reading(codec: SchemaCodec) -> tuple[int, bytes]:
    """Return port and payload of the first example without a warning: the common case."""
    for example in codec.device.examples:
        decoded = codec.decode(example.f_port, example.payload)
        if example.direction == "up" and not decoded.warnings + decoded.errors:
            return example.f_port, example.payload
    pytest.skip("there is no example without a warning")


def uplink(payload: bytes, f_port: int) -> bytes:
    return encode_data_up(NWK_S_KEY, APP_S_KEY, DEV_ADDR, 7, f_port=f_port, payload=payload)


@pytest.mark.parametrize("name", registry.names())
def test_payload(name: str) -> None:
    codec = schema_codec(name)
    f_port, payload = reading(codec)
    decode, reference = codec.decode, codec.reference.decode
    assert decode(f_port, payload) == reference(f_port, payload)
    what = f"{name}, {len(payload)} bytes"
    tell(what, best_us(lambda: decode(f_port, payload)), best_us(lambda: reference(f_port, payload)))


def test_frame() -> None:
    phy = uplink(b"\x2a" * 6, 10)
    frame = parse_phy(phy)
    assert isinstance(frame, DataFrame)
    assert PHY_PAYLOAD.parse(phy).mic == frame.mic
    tell("data frame, parse", best_us(lambda: parse_phy(phy)), best_us(lambda: PHY_PAYLOAD.parse(phy)))


def test_whole_uplink() -> None:
    codec = schema_codec("siel/water_level")
    f_port, payload = reading(codec)
    phy = uplink(payload, f_port)

    def way() -> Any:
        frame = parse_phy(phy)
        assert isinstance(frame, DataFrame)
        assert data_mic(NWK_S_KEY, phy[:-4], frame.dev_addr, frame.f_cnt, True) == frame.mic
        plain = crypt_payload(APP_S_KEY, frame.dev_addr, frame.f_cnt, True, frame.frm_payload)
        return codec.decode(f_port, plain)

    assert way() == codec.decode(f_port, payload)
    tell("whole uplink: parse, MIC, decrypt, payload", best_us(way))
