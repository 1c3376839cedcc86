"""The host's side of the serial link: who speaks when, and whatever else comes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from siel_gateway.head_clock import COUNTER_PERIOD_US
from siel_gateway.head_events import ChipConfigured, HeadReady, LinkLost, TxResult, WrongVersion
from siel_gateway.head_link import CONFIGURE_REFUSED_US, CONFIGURE_RETRY_US, HELLO_RETRY_US, SILENCE_US
from siel_head import link
from siel_hil.rigs.head_wire import BOOT_ID, SECOND, Wire


def test_it_begins_with_a_delimiter_and_asks_until_it_is_answered() -> None:
    wire = Wire()
    data = wire.link.data_to_send()
    assert data[0] == 0
    assert not wire.link.ready
    wire.wait(3 * HELLO_RETRY_US)
    assert wire.names() == ["hello_request"] * 3


def test_hello_opens_the_session_and_everything_is_set() -> None:
    wire = Wire()
    (ready,) = wire.hello(first_sequence=4)
    assert ready == HeadReady(
        boot_id=BOOT_ID, new_session=True, reset_cause="watchdog", chips=1, store_size=64, stamp_error_us=9
    )
    assert wire.link.ready
    sent = {name: fields for name, fields, _ in wire.sent()}
    assert sent["configure"] == {
        "chip": 0,
        "frequency_hz": 868100000,
        "spreading_factor": 7,
        "bandwidth_hz": 125000,
        "antenna_gain_db": 0,
    }
    assert sent["ack"] == {"boot_id": BOOT_ID, "sequence": 3}
    assert "time_query" in sent


def test_another_version_is_said_and_not_spoken_to() -> None:
    wire = Wire()
    assert wire.hello(version=link.VERSION + 1) == [WrongVersion(version=link.VERSION + 1)]
    assert not wire.link.ready
    assert wire.rx(1) == []


def test_configure_is_repeated_until_the_head_confirms_what_was_asked(wire: Wire) -> None:
    confirmed: dict[str, Any] = {"boot_id": BOOT_ID, "chip": 0, "frequency_hz": 868100000, "bandwidth_hz": 125000}
    assert wire.say("configured", ok=1, spreading_factor=9, **confirmed) == []
    assert wire.say("configured", ok=0, spreading_factor=7, **confirmed) == [ChipConfigured(chip=0, ok=False)]
    wire.wait(CONFIGURE_REFUSED_US - 1)
    assert "configure" not in wire.names()
    wire.wait(CONFIGURE_RETRY_US)
    assert "configure" in wire.names()
    assert wire.say("configured", ok=1, spreading_factor=7, **confirmed) == [ChipConfigured(chip=0, ok=True)]
    wire.wait(2 * CONFIGURE_REFUSED_US)
    assert "configure" not in wire.names()


def test_a_silent_head_is_lost_and_asked_for_again(wire: Wire) -> None:
    tag = wire.transmit(counter_us=(wire.counter() + 15 * SECOND) % COUNTER_PERIOD_US)
    wire.outcome(tag, "scheduled")
    events = wire.wait(SILENCE_US)
    assert events == [
        LinkLost(reason="head is silent"),
        TxResult(tag=tag, outcome="unknown", reason="NO_RADIO", slack_us=0, counter_us=None),
    ]
    assert not wire.link.ready
    wire.sent()
    wire.wait(HELLO_RETRY_US)
    assert wire.names() == ["hello_request"]
    (ready,) = wire.hello()
    assert ready.new_session is False


def test_a_port_that_comes_back_goes_on_where_it_was(wire: Wire) -> None:
    wire.rx(1)
    assert wire.link.disconnected("unplugged") == [LinkLost(reason="unplugged")]
    assert wire.link.next_tick_us() is None
    assert wire.rx(2) == []
    wire.now_us += SECOND
    wire.link.connected(wire.now_us)
    wire.hello()
    assert wire.rx(1) == []
    assert [event.sequence for event in wire.rx(2)] == [2]


def test_a_new_boot_is_a_new_session(wire: Wire) -> None:
    wire.rx(1)
    lost, ready = wire.hello(boot_id=7)
    assert lost == LinkLost(reason="head has restarted")
    assert (ready.boot_id, ready.new_session) == (7, True)
    assert wire.rx(1) == []
    assert [event.sequence for event in wire.rx(1, boot_id=7)] == [1]
    wire.link.ack(BOOT_ID, 1)
    assert not [fields for name, fields, _ in wire.sent() if name == "ack" and fields["sequence"]]


def test_frames_of_an_unknown_boot_make_it_ask(wire: Wire) -> None:
    wire.now_us += HELLO_RETRY_US
    assert wire.rx(1, boot_id=9) == []
    assert "hello_request" in wire.names()


@given(st.lists(st.binary(max_size=600), max_size=10), st.integers(0, 100_000))
def test_noise_from_the_head_never_stops_it(noise: list[bytes], step_us: int) -> None:
    wire = Wire()
    for part in noise:
        wire.now_us += step_us
        wire.link.receive_data(part, wire.now_us)
        wire.link.data_to_send()
    wire.link.receive_data(b"\0", wire.now_us)
    assert any(isinstance(event, HeadReady) for event in wire.hello())


@given(st.lists(st.tuples(st.sampled_from([row for row in link.MESSAGES if row[1] < 0x80]), st.data()), max_size=8))
def test_any_message_with_any_numbers_is_survived(messages: list[Any]) -> None:
    wire = Wire()
    wire.hello()
    for row, data in messages:
        fields: dict[str, Any] = {}
        for code, name in zip(row[2], row[3], strict=True):
            bits = {"B": 8, "b": 8, "H": 16, "h": 16, "I": 32, "i": 32}[code]
            low = -(1 << bits - 1) if code.islower() else 0
            fields[name] = data.draw(st.integers(low, low + (1 << bits) - 1))
        if data.draw(st.booleans()):
            fields["boot_id"] = BOOT_ID
        wire.say(row[0], b"\x40" if row[4] else b"", **fields)
        wire.wait(SECOND)
