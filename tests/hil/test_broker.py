"""The private broker is real, private, and gone afterwards."""

from __future__ import annotations

import os
import socket

import pytest

from siel_hil.broker import HOST, BrokerError, PrivateBroker


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def test_it_accepts_when_entered_and_is_gone_when_left() -> None:
    with PrivateBroker() as broker, PrivateBroker() as other:
        assert broker.port != other.port
        assert broker.url == f"mqtt://127.0.0.1:{broker.port}"
        assert _accepts(broker.port)
        assert _accepts(other.port)
    assert not _accepts(broker.port)


def test_it_can_be_ended_and_started_again_on_the_same_port() -> None:
    with PrivateBroker() as broker:
        port = broker.port
        broker.stop()
        assert not _accepts(port)
    with PrivateBroker(port) as again:
        assert again.port == port
        assert _accepts(port)


def test_a_broker_that_does_not_start_says_why() -> None:
    with pytest.raises(BrokerError, match="no_such_option"), PrivateBroker(options=["no_such_option 1"]):
        pass


def test_a_port_that_is_taken_is_an_error() -> None:
    with PrivateBroker() as broker, pytest.raises(BrokerError), PrivateBroker(broker.port):
        pass


def test_it_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with PrivateBroker():
        assert os.listdir(tmp_path)
    assert not os.listdir(tmp_path)
