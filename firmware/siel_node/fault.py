# How the firmware ended, for its next start: a text on flash, since a node in the field has no console that is read.
import os

from ._compat import print_exception

PATH = "/fault"
# Where the text stays once it was told, for whoever comes with a laptop
TOLD = "/fault.told"


def note(error: Exception) -> None:
    # Stores what ended this life. A flash that cannot take it must not hide the error itself.
    try:
        with open(PATH, "w") as file:
            print_exception(error, file)
    except OSError:
        pass


def take() -> str:
    # The last line of what ended the life before this one, once; "" when it ended in order or by a power cut.
    try:
        os.rename(PATH, TOLD)
        with open(TOLD) as file:
            return file.read().strip().split("\n")[-1]
    except OSError:
        return ""
