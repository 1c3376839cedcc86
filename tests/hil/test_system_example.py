"""The example in hil/README.md does what the text around it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from siel_hil.testbed import Testbed

README = Path(__file__).parents[2] / "hil" / "README.md"


def test_the_readmes_example_runs(testbed: Testbed, node: Callable[..., Any], gateway: Callable[..., Any]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, str(README), "exec"), names)
    (test,) = [value for name, value in names.items() if name.startswith("test_")]
    test(testbed=testbed, node=node, gateway=gateway)
    assert len(testbed.observations) == 4
