"""``python -m siel_tools`` is the ``siel`` command."""

from siel_tools.main import main

main(prog_name="siel")
