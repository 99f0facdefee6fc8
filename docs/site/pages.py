"""A hook of mkdocs: the pages that are made, not written, and the links that leave the documentation."""

from __future__ import annotations

import re
import sys
from os.path import relpath
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from command_line import command_line

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TAKEN = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "reporting.md",
}
"""Files of the top folder that are pages, too."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    for path, page in TAKEN.items():
        files.append(File.generated(config, page, content=inside(ROOT, (ROOT / path).read_text())))
    files.append(File.generated(config, "reference/cli.md", content=command_line()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Keep the text of links to files of the repository that are no pages."""
    return markdown if page.file.generated_by else inside(DOCS / Path(page.file.src_uri).parent, markdown)


def inside(folder: Path, markdown: str) -> str:
    """Markdown of a file in this folder, with its links as they are on the site."""

    def replaced(found: re.Match[str]) -> str:
        image, text, target, anchor = found.group(1), found.group(2), found.group(3), found.group(4) or ""
        if ":" in target or not target:
            return found.group()
        path = (folder / target).resolve()
        if not path.is_relative_to(DOCS):
            page = TAKEN.get(str(path.relative_to(ROOT)))
            if page is None:
                return text
            path = DOCS / page
        return f"{image}[{text}]({relpath(path, folder if folder.is_relative_to(DOCS) else DOCS)}{anchor})"

    return _LINK.sub(replaced, markdown)
