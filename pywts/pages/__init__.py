"""Pages: the look that all of them share (``base.html.j2``), and how one is made of a template.

A page is one file that asks for nothing: style and script stand in it, and its Content-Security-Policy allows those two
texts by their hashes and nothing else. So no inline ``style`` attribute and no event attribute works in a template.
Jinja2 escapes every value; data for the script goes through ``tojson``.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = os.path.dirname(os.path.abspath(__file__))


def render(template: str, **values: Any) -> str:
    """A page made of a template of this folder that extends ``base.html.j2``."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from .. import _core
    from ..words import bytes_in_words, number_in_words

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(bytes=bytes_in_words, number=number_in_words)
    style, script = (_text(name) for name in ("style.css", "script.js"))
    page = environment.get_template(template).render(
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; "
        "form-action 'none'",
        version=_core.__version__,
        **values,
    )
    return page.encode("utf-8", "backslashreplace").decode()  # a file's names may hold lone surrogates


def _text(name: str) -> str:
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


def _hash(text: str) -> str:
    from base64 import b64encode
    from hashlib import sha256

    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
