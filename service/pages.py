"""The landing page, the page of the account, and Swagger UI on the public specification."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.specification import specification

STATIC = Path(__file__).with_name("static")
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
)


@cache
def home_page() -> str:
    """The landing page, in HTML; goes with `HOME_HEADERS`."""
    return _TEMPLATES.get_template("home.html").render(info=specification.document["info"])


@cache
def account_page() -> str:
    """The page where users manage their sign-in, in HTML; goes with `FRONT_END_HEADERS`."""
    return _TEMPLATES.get_template("account.html").render(info=specification.document["info"])


@cache
def docs_page() -> str:
    """Swagger UI, in HTML; goes with `DOCS_HEADERS`."""
    return _TEMPLATES.get_template("docs.html").render(info=specification.document["info"])
