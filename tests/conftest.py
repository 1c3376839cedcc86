"""How every test runs."""

from __future__ import annotations

from hypothesis import settings

# No deadline: these machines are shared, and a wall time is never a fact about the code. The same examples in every
# run: a change is judged by what it changed, not by luck.
settings.register_profile("same", deadline=None, derandomize=True, print_blob=True)
# For the hunt: other examples each time. pytest --hypothesis-profile hunt
settings.register_profile("hunt", deadline=None, print_blob=True)
settings.load_profile("same")
