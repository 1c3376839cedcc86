# What cases let the network say to a device.
from tests.firmware.dual.network import Server, Shell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CF_LIST = b"\x18\x4f\x84\xe8\x56\x84\xb8\x5e\x84\x88\x66\x84\x58\x6e\x84\x00"


def answering(shell: Shell, server: Server, **down: "Any") -> None:
    # The next frame gets one downlink in RX1, what follows gets silence.
    left = [1]

    def air(phy: bytes, window: int) -> bytes | None:
        if left and window == 0:
            left.pop()
            return server.down(**down)
        return None

    shell.air = air


def accepting(server: Server, join_nonce: int) -> "Callable[[bytes, int], bytes]":
    return lambda phy, window: server.join_accept(phy, join_nonce=join_nonce)


def admitting(server: Server) -> "Callable[[bytes, int], bytes | None]":
    return lambda phy, window: None if phy[0] else server.join_accept(phy)


def saying(server: Server, f_cnt: int) -> "Callable[[bytes, int], bytes]":
    return lambda phy, window: server.down(f_port=1, payload=b"x", f_cnt=f_cnt)


def f_opts_after(shell: Shell, server: Server, commands: bytes, port0: bool = False) -> bytes:
    # Sends the commands with one uplink's answer and returns the FOpts of the uplink after it.
    if port0:
        answering(shell, server, f_port=0, payload=commands)
    else:
        answering(shell, server, f_opts=commands)
    shell.exchange()
    shell.exchange()
    return server.uplink(shell.frames[-1][4])[3]
