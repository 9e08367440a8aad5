"""Takes the README's picture of Swagger UI anew: `.venv/bin/python -m tests.browser.picture`."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from tests.kit.serving import Server, serving
from tests.kit.swagger import Docs

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "swagger-ui.png"
WIDTH = 1000


def main() -> None:
    """A new post, just written: the head of the page, the operation and the answer."""
    found = shutil.which("chromium-browser") or shutil.which("chromium")
    with (
        TemporaryDirectory() as folder,
        serving(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=found)
        page = chromium.new_page(
            base_url=server.url,
            viewport={"width": WIDTH, "height": 2000},
            device_scale_factor=2,
            reduced_motion="reduce",
        )
        _take(page, server)
        chromium.close()


def _take(page: Page, server: Server) -> None:
    docs = Docs(page)
    page.get_by_placeholder("Filter by tag or path").fill("posts")
    docs.operation("auth/login").wait_for(state="detached")
    docs.authorize(
        "accessToken",
        server.sign_up(username="anna", email="anna@example.com").tokens["access_token"],
    )
    docs.try_out("posts/create_post")
    # Left out, or it would be too long: what all operations have in common, and the request again.
    page.evaluate("""() => {
      const long = ['#contents', '.common', '.info__license', '.info__contact',
        '.info__extdocs', '.parameters-container', '.curl-command', '.request-url']
      for (const element of document.querySelectorAll(long)) element.remove()
      scrollTo(0, 0)
    }""")
    end = page.locator(".live-responses-table .highlight-code").bounding_box()
    assert end
    height = end["y"] + end["height"] + 8
    page.screenshot(path=PICTURE, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})


if __name__ == "__main__":
    main()
