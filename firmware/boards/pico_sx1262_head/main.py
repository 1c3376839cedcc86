from board import BOARD

from siel_head.app import run

run(BOARD)
