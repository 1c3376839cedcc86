# Freezes the node's firmware into a MicroPython build. board.py is made from board.toml.
package("siel_node", base_path="../..", opt=3)
module("main.py", opt=3)
module("board.py", opt=3)
