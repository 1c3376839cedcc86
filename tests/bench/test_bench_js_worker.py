"""JavaScript in a kept context of the worker: what a call costs, what a start costs. Prints; asserts equality only."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from timeit import Timer

import pytest

from siel_codecs import registry
from siel_codecs.js import JsHost, js_source, run_js_line
from siel_codecs.schema.to_javascript import emit_javascript

CALLS = 2_000
DEVICE = "siel/water_level"


@pytest.fixture
def codec(tmp_path: Path) -> Path:
    file = tmp_path / "codec.js"
    file.write_text(emit_javascript(registry.load(DEVICE).device))
    return file


def test_a_call_and_a_start(codec: Path) -> None:
    schema = registry.load(DEVICE)
    f_port = schema.device.ports[0].f_ports[0]
    payload = schema.encode(f_port, {"distance": 1271})
    source = js_source(codec.read_bytes())
    with JsHost() as host:
        began = time.perf_counter()
        host.load(source)
        start_ms = (time.perf_counter() - began) * 1e3
        found = host.decode_uplink(source, f_port, payload)
        assert found.data == schema.decode(f_port, payload).data
        us = min(Timer(lambda: host.decode_uplink(source, f_port, payload)).repeat(5, CALLS)) / CALLS * 1e6
        native_us = min(Timer(lambda: schema.decode(f_port, payload)).repeat(5, CALLS)) / CALLS * 1e6
        assert host.pid is not None
        pages = int(Path(f"/proc/{host.pid}/statm").read_text().split()[1])
        began = time.perf_counter()
        assert host.decode_uplink(b"function decodeUplink() { for (;;) ; }", 1, b"").errors
        loop_ms = (time.perf_counter() - began) * 1e3
        line = b'{"js":"%s","fPort":%d,"bytes":"%s"}' % (str(codec).encode(), f_port, payload.hex().encode())
        line_us = min(Timer(lambda: run_js_line(host, line)).repeat(3, CALLS)) / CALLS * 1e6
    print(
        f"\nJavaScript in the worker: {us:.0f} us per uplink ({1e6 / us:.0f}/s; generated Python {native_us:.1f} us), "
        f"{line_us:.0f} us per batch line, {start_ms:.0f} ms until the first answer, "
        f"{loop_ms:.0f} ms for one that never ends, {pages * resource.getpagesize() / 1e6:.0f} MB resident"
    )
