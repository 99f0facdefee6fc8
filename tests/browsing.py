"""Opens a page in a real browser, and hears all that it says and asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


class Watched:
    """A page that was opened, with all that it said and asked for."""

    def __init__(self, browser: Browser, path: Path, **options: Any) -> None:
        self.said: list[str] = []
        self.page: Page = browser.new_page(**options)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.said.append(request.url) if request.url != self.url else None)
        self.url = path.as_uri()
        self.page.goto(self.url)

    def column(self, table: str, place: int) -> list[str]:
        """The texts of one column of a table."""
        return self.page.locator(f"[data-table={table}] tbody tr:not(.detail) td:nth-child({place})").all_inner_texts()
