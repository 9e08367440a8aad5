"""Uses Swagger UI as a person does: fills in forms, presses buttons and reads the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page, Request, expect


@dataclass
class Shown:
    """The server's answer as the page shows it, and the request that the page sent."""

    request: Request
    status: int
    body: Any
    headers: dict[str, str]


class Docs:
    """The page at `/docs`, or at another address."""

    def __init__(self, page: Page, address: str = "/docs") -> None:
        self.page = page
        page.goto(address)

    def operation(self, name: str) -> Locator:
        """The block of an operation: `operation("posts/create_post")`."""
        return self.page.locator(f"#operations-{name.replace('/', '-')}")

    def try_out(self, name: str, body: Mapping[str, Any] | None = None, **parameters: str) -> Shown:
        """Execute an operation with these values; the page fills in the others."""
        block = self.operation(name)
        control = block.locator(".opblock-summary-control")
        if control.get_attribute("aria-expanded") == "false":
            self._close_others()
            control.click()
        if body is not None:
            block.locator("textarea").fill(json.dumps(body, indent=2))
        for parameter, value in parameters.items():
            block.locator(f'[data-param-name="{parameter}"] input').fill(value)
        clear = block.locator(".btn-clear")
        if clear.is_visible():
            clear.click()
        with self.page.expect_request(lambda request: request.resource_type == "fetch") as sent:
            block.locator(".btn.execute").click()
        return _shown(sent.value, block.locator(".live-responses-table"))

    def _close_others(self) -> None:
        # Swagger UI renders all that is open again at every step: each costs as much as the step.
        for control in self.page.locator(".opblock.is-open .opblock-summary-control").all():
            control.click()

    def open_dialog(self) -> Locator:
        """The dialog behind the page's button Authorize."""
        self.page.locator(".scheme-container .btn.authorize").click()
        dialog = self.page.locator(".modal-ux")
        expect(dialog).to_be_visible()
        return dialog

    def close_dialog(self) -> None:
        self.page.keyboard.press("Escape")
        expect(self.page.locator(".modal-ux")).to_have_count(0)

    def authorize(self, scheme: str, token: str) -> None:
        form = scheme_of(self.open_dialog(), scheme)
        form.get_by_role("textbox").fill(token)
        form.get_by_role("button", name="Apply credentials").click()
        self.close_dialog()

    def forget(self) -> None:
        """Remove every token from the page."""
        dialog = self.open_dialog()
        for form in dialog.locator(".auth-container").filter(has_text="Authorized").all()[::-1]:
            form.get_by_role("button", name="Remove authorization").click()
        self.close_dialog()

    def authorized(self) -> set[str]:
        """The security schemes for which the page has a token, according to the dialog."""
        held = self.open_dialog().locator(".auth-container").filter(has_text="Authorized")
        names = held.locator("h4 code").all_inner_texts()
        self.close_dialog()
        return set(names)


def scheme_of(dialog: Locator, name: str) -> Locator:
    """The part of the dialog for one security scheme."""
    return dialog.locator(".auth-container").filter(has=dialog.page.locator("h4", has_text=name))


def _shown(request: Request, table: Locator) -> Shown:
    expect(table.locator(".headerline").first).to_be_visible()
    table.scroll_into_view_if_needed()
    # The page adds a word to a status that the operation does not document.
    status = int(table.locator("tbody .response-col_status").inner_text())
    code = table.locator(".highlight-code code")
    body = json.loads(code.inner_text()) if code.count() else None
    lines = (
        line.strip().partition(": ") for line in table.locator(".headerline").all_inner_texts()
    )
    return Shown(request, status, body, {name: value for name, _, value in lines})
