"""Where a pickle cannot be followed, but a loader may go on: what only looks like a pickle seldom comes so far."""

from __future__ import annotations

from ..checkpoint.pickled import CUT_SHORT

_GOES_ON = (
    "something is appended to a bytearray",
    "an item is set in a bytearray",
    "an item of a list is set at an import",
    "an item of a list is set at a call's result",
    "an item of a list is set at a persistent object",
    # as Python's own pickle._Unpickler does, of which joblib's and that of torch.package are made
    "a call's arguments are ",
    "a state is given to ",
    # a frame that lies is written on purpose, and readers take it differently
    "a frame ends inside",
    "a frame reaches out",
    "the pickle stops inside a frame",
    # limits, which are not the loader's
    "an integer has more digits",
    "the memo has more entries",
    "the pickle has more opcodes",
    "the pickle makes more objects",
    "the pickle's containers hold more",
)
"""How the machine begins what it says of them."""
_COUNTED = {b"B": 4, b"T": 4, b"X": 4, b"\x8b": 4, b"\x8d": 8, b"\x8e": 8, b"\x95": 8, b"\x96": 8}
"""Bytes of the length of an argument, by the opcode."""


def may_go_on(fault: tuple[str, int], held: bytes, size: int) -> bool:
    """Whether a loader may go on where the machine stops, in ``size`` bytes of which it has been given ``held``."""
    why, at = fault
    if why.startswith(_GOES_ON):
        return True
    if why.startswith("a frame is longer"):
        return held[at + 6 : at + 9] == bytes(3)  # fewer than 1 TiB, for which memory can be had
    if why.startswith("an integer has more bytes") or (why in CUT_SHORT and len(held) < size):
        width = _COUNTED.get(held[at : at + 1], 0)
        begin = at + 1 + width
        return begin + int.from_bytes(held[at + 1 : begin], "little") < size
    return False
