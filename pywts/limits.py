"""What a source may ask for before it is refused: bounds that stand before memory is taken."""

from __future__ import annotations

from .records import Record


class Limits(Record):
    """Bounds on what one source may ask for. ``DEFAULT_LIMITS.replace(tensors=...)`` adjusts one."""

    entries: int = 1_000_000
    """files in an archive"""
    pickle_bytes: int = 1 << 30
    """bytes of one pickle, inflated"""
    opcodes: int = 100_000_000
    """pickle opcodes"""
    nodes: int = 16_000_000
    """objects that a pickle describes"""
    depth: int = 1_000
    """levels of modules inside modules"""
    tensors: int = 400_000
    """tensors and modules in one state_dict"""
    name_length: int = 65_536
    """characters in a tensor's name"""
    inflated_bytes: int = 1 << 36
    """bytes of one deflated storage, inflated"""
    expansion: int = 64
    """how many times more values a tensor may have than its storage (expanded views), beyond 1 Mi values; and all
    tensors together than their storages have bytes, beyond 64 Mi values"""


DEFAULT_LIMITS = Limits()
