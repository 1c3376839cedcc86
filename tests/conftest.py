"""How every test runs."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: these machines are shared, and a wall time is never a fact about the code.
settings.register_profile("local", deadline=None)
# The same examples in every run: a change is judged by what it changed, not by luck.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
