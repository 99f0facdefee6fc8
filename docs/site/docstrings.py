"""An extension of griffe: lists of what docstrings say line by line of arguments, and of the fields of records."""

from __future__ import annotations

import re
from typing import Any

from griffe import Class, Docstring, Extension, Function

_ARGUMENT = re.compile(r"^(\w+): (.+)$")


class Arguments(Extension):
    """See the module."""

    def on_function_instance(self, *, func: Function, **_: Any) -> None:
        """Of a function."""
        if func.docstring:
            func.docstring.value = listed(func.docstring.value, {parameter.name for parameter in func.parameters})

    def on_class_members(self, *, cls: Class, **_: Any) -> None:
        """A record's fields become a list in its docstring."""
        if [str(base) for base in cls.bases] != ["Record"]:
            return
        fields = [member for member in cls.members.values() if member.is_attribute and not member.name.startswith("_")]
        lines = [_field(member) for member in fields]
        cls.docstring = Docstring("\n".join([cls.docstring.value if cls.docstring else "", "", *lines]), parent=cls)
        for member in fields:
            cls.del_member(member.name)


def _field(member: Any) -> str:
    value = f" = {member.value}" if member.value is not None else ""
    text = " ".join(member.docstring.value.split()) if member.docstring else ""
    return f"- `{member.name}: {member.annotation}{value}`" + (f": {_code(text)}" if text else "")


def listed(docstring: str, names: set[str]) -> str:
    """The docstring with a list item for each line ``name: text`` of an argument, and what follows it indented."""
    lines = []
    inside = False
    for line in docstring.split("\n"):
        found = _ARGUMENT.match(line)
        if found and found[1] in names:
            lines.append(f"- `{found[1]}`: {found[2]}")
            inside = True
        else:
            inside = inside and bool(line.strip())
            lines.append(f"  {line.strip()}" if inside else line)
    return _code("\n".join(lines))


def _code(text: str) -> str:
    """Of reStructuredText, Markdown."""
    return re.sub(r"``(.+?)``", r"`\1`", text)
