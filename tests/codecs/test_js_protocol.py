from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siel_codecs.codec import Decoded
from siel_codecs.errors import PayloadError
from siel_codecs.js import results
from siel_codecs.js.protocol import Answer, Call, Frames, Load, ProtocolError, decode_answer, decode_request, framed


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 50))
def test_messages_come_out_whole_however_they_are_cut(bodies: list[bytes], step: int) -> None:
    sent = b"".join(framed(Load(b"d", body)) for body in bodies)
    frames, got = Frames(), []
    for at in range(0, len(sent), step):
        message = frames.feed(sent[at : at + step])
        while message is not None:
            got.append(decode_request(message))
            message = frames.feed(b"")
    assert got == [Load(b"d", body) for body in bodies]


def test_a_length_beyond_the_limit_is_refused_before_it_is_collected() -> None:
    with pytest.raises(ProtocolError):
        Frames(100).feed((101).to_bytes(4))


def test_requests_and_answers_survive_the_way() -> None:
    call = Call(b"digest", "encodeDownlink", b"{}")
    assert decode_request(framed(call)[4:]) == call
    assert decode_answer(framed(Answer("fault", b"text", 0.5))[4:]) == Answer("fault", b"text", 0.5)


@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_an_answer_of_any_bytes_is_a_result_or_an_error(body: bytes) -> None:
    assert isinstance(results.decoded(body, None), Decoded)
    with pytest.raises(PayloadError):
        results.downlink("a/b", body, 1)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"value":[1,256]}', "its byte 1 is 256"),
        (b'{"value":[-1]}', "its byte 0 is -1"),
        (b'{"value":[1.5]}', "its byte 0 is 1.5"),
        (b'{"value":[true]}', "its byte 0 is True"),
        (b'{"value":[null]}', "its byte 0 is None"),
        (b'{"value":{"a":1}}', "at most 242 bytes"),
        (b'{"value":[' + b"0," * 242 + b"0]}", "at most 242 bytes"),
        (b'{"value":[1],"fPort":0}', "fPort is 0"),
        (b'{"value":[1],"fPort":224}', "fPort is 224"),
        (b'{"value":[1],"fPort":1.5}', "fPort is 1.5"),
        (b'{"value":[1],"errors":["no","never"]}', "no, never"),
        (b'{"value":[1e999]}', "cannot be read"),
    ],
)
def test_an_encoders_nonsense_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        results.downlink("a/b", body, 1)


def test_an_encoders_own_port_comes_before_the_one_asked_for() -> None:
    assert results.downlink("a/b", b'{"value":[1,2],"fPort":7}', 1).f_port == 7
    assert results.downlink("a/b", b'{"value":[]}', 9).f_port == 9
    with pytest.raises(PayloadError, match="names no fPort"):
        results.downlink("a/b", b'{"value":[]}', None)
