from board import BOARD

from siel_node.app import run

run(BOARD)
