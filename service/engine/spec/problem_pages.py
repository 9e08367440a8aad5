"""A page for each problem code, to which the `type` of a problem leads, and a list of all codes.

They are made from the specification: which operation answers with a code follows from its
paragraph, and the titles and the advice are those of the answers.
"""

from __future__ import annotations

import re
from functools import cached_property, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from service.engine.http import assets
from service.engine.http.assets import Asset
from service.engine.problems import Problem
from service.engine.spec import refusals
from service.engine.spec.documents import operations
from service.engine.spec.specification import Specification

_FOLDER = Path(__file__).parents[1] / "pages"
_NAME = re.compile(r"[a-z]+(?:_[a-z]+)*")


class Source(NamedTuple):
    """An operation that can answer with a problem, and the `detail` that it then gives, unless the
    advice says the same."""

    operation_id: str
    method: str
    path: str
    status: int
    detail: str


class Explained(NamedTuple):
    """What is known of a code; `sources` are empty for one that any address can answer with."""

    code: str
    title: str
    statuses: list[HTTPStatus]
    advice: dict[str, int]  # and the first status that it is for
    sources: list[Source]
    example: str


class ProblemPages:
    """The pages of a service, which are made when they are asked for."""

    def __init__(self, specification: Specification) -> None:
        self._specification = specification
        self._codes = list(dict.fromkeys(code for _, code in sorted(specification.catalogue)))

    def assets(self) -> dict[str, Asset]:
        """The pages by path, with their style sheet."""
        pages = {
            f"/problems/{code}": assets.page(partial(self._page, code)) for code in self._codes
        }
        style = assets.folder(_FOLDER)
        return {
            **style,
            **pages,
            "/problems": assets.page(self._list),
            "/problems/": assets.redirect("../problems"),
        }

    def _page(self, code: str) -> str:
        return self._render("problem.html", "../", problem=self._explained[code])

    def _list(self) -> str:
        return self._render("problems.html", "", problems=self._explained.values())

    @cached_property
    def _explained(self) -> dict[str, Explained]:
        document, known = self._specification.document, self._specification.catalogue
        found: dict[str, list[tuple[Source, Problem]]] = {}
        for path, method, operation in operations(document):
            place = operation["operationId"], method.upper(), path
            examples = refusals.examples(operation, path, document, known)
            for status, problems in examples.items():
                for problem in problems:
                    source = Source(*place, status, problem.detail)
                    found.setdefault(problem.code, []).append((source, problem))
        return {code: self._explain(code, found.get(code, [])) for code in self._codes}

    def _explain(self, code: str, found: list[tuple[Source, Problem]]) -> Explained:
        kinds = [kind for (_, one), kind in self._specification.catalogue.items() if one == code]
        # Without the request there is nothing to say of it.
        examples = [problem for _, problem in found] or [kinds[0].example({})]
        advice = {_advice(kind, examples): kind.status for kind in kinds[::-1]}
        usual = {*advice, *(f"{kind.title}. {kind.advice}" for kind in kinds)}
        sources = [one._replace(detail="") if one.detail in usual else one for one, _ in found]
        body = orjson.dumps(examples[0].document(refusals.REQUEST_ID), option=orjson.OPT_INDENT_2)
        return Explained(
            code=code,
            title=kinds[0].title,
            statuses=[HTTPStatus(kind.status) for kind in kinds],
            advice=advice,
            sources=sources,
            example=body.decode(),
        )

    def _render(self, template: str, root: str, **values: Any) -> str:
        """A page; `root` leads from it to the root of the service, under whatever prefix."""
        paths = self._specification.document["paths"]
        templates = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        has_docs = "/docs" in paths
        templates.filters["linked"] = self._linking(f"{root}docs" if has_docs else None)
        return templates.get_template(template).render(
            service=self._specification.title,
            root=root,
            has_docs=has_docs,
            **values,
        )

    def _linking(self, docs: str | None) -> Any:
        """A filter that makes the names of operations in a text lead to their documentation."""
        tags = {
            operation["operationId"]: operation["tags"][0]
            for *_, operation in operations(self._specification.document)
        }

        def linked(text: str) -> Markup:
            def link(found: re.Match[str]) -> str:
                name = found[0]
                is_operation = name in tags and ("_" in name or name == text)  # `list` is a word
                return f'<a href="{docs}#/{tags[name]}/{name}">{name}</a>' if is_operation else name

            html = _NAME.sub(link, str(escape(text)))
            return Markup(html)  # noqa: S704 # nosec B704 # it is escaped

        return linked if docs else escape


def _advice(kind: type[Problem], examples: list[Problem]) -> str:
    """What a problem advises; without advice of its own, the `detail` of an example."""
    details = (one.detail for one in examples if one.status == kind.status)
    return vars(kind).get("advice") or next(details, kind.title)
