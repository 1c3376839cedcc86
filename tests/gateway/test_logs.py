"""The log: one JSON object per line where no person watches, and no key anywhere."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from siel_gateway.logs import HIDDEN, set_up_logging

KEY = "2b7e151628aed2a6abf7158809cf4f3c"


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, config = root.handlers, root.level, structlog.get_config()
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**config)


@pytest.mark.parametrize(
    "fields",
    [
        {"app_key": KEY},
        {"key": KEY},
        {"AppKey": KEY},
        {"nwkSKey": KEY},
        {"secret": KEY},
        {"password": KEY},
        {"api_token": KEY},
        {"device": {"name": "x", "app_s_key": KEY}},
        {"devices": [{"app_key": KEY}]},
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_named_like_a_secret_is_not_written(fields: dict[str, object], as_json: bool) -> None:
    stream = io.StringIO()
    set_up_logging(stream, as_json=as_json)
    structlog.get_logger("t").info("event", dev_eui="70b3d57ed0001a2b", **fields)
    assert KEY not in stream.getvalue()
    assert HIDDEN in stream.getvalue()
    assert "70b3d57ed0001a2b" in stream.getvalue()


def test_a_count_is_no_secret_whatever_its_name() -> None:
    stream = io.StringIO()
    set_up_logging(stream)
    structlog.get_logger("t").info("event", counts={"junk_token": 3})
    assert json.loads(stream.getvalue())["counts"] == {"junk_token": 3}


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_has_no_values_of_variables(as_json: bool) -> None:
    stream = io.StringIO()
    set_up_logging(stream, as_json=as_json)

    def fail(app_key: bytes) -> None:
        raise RuntimeError("something else")

    try:
        fail(bytes.fromhex(KEY))
    except RuntimeError:
        structlog.get_logger("t").error("failed", exc_info=True)
    assert "RuntimeError: something else" in stream.getvalue()
    assert repr(bytes.fromhex(KEY)) not in stream.getvalue()
    assert KEY not in stream.getvalue()


def test_lines_are_json_where_no_terminal_is() -> None:
    stream = io.StringIO()
    set_up_logging(stream)
    structlog.get_logger("t").warning("head_away", radio="roof")
    logging.getLogger("some.library").warning("text %s", 1)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("head_away", "warning"), ("text 1", "warning")]
    assert lines[0]["radio"] == "roof"


def test_details_are_left_out() -> None:
    stream = io.StringIO()
    set_up_logging(stream)
    structlog.get_logger("t").debug("detail")
    logging.getLogger("some.library").info("detail")
    assert stream.getvalue() == ""
