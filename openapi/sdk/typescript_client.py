"""Makes the TypeScript client: typescript/runtime, and what the templates make of the document."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from openapi.sdk.packages import with_lines
from openapi.sdk.programs import BIN, NPM, run
from openapi.sdk.typescript_model import TEMPLATES, model
from service.specification import specification

HERE = Path(__file__).parent / "typescript"
BUNDLE = [
    "--line-limit=400",
    "--bundle",
    "--format=esm",
    "--target=es2022",
    "--minify",
    "--legal-comments=none",
]


def generate(folder: Path) -> None:
    """Write the code of the package: `dist`, with one module and its types."""
    write(folder, with_lines(specification))


def write(folder: Path, document: dict[str, Any]) -> None:
    """The same for any document of the engine.

    Raises ValueError if two things would have the same name.
    """
    sources = folder / "src"
    shutil.copytree(HERE / "runtime", sources)
    shutil.copy(HERE / "tsconfig.json", folder)
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 # it writes TypeScript, not HTML
    )
    names = model(document)
    for template in templates.list_templates():
        text = templates.get_template(template).render(names)
        (sources / Path(template).stem).write_text(text, "utf-8")
    run(folder, BIN / "node", NPM / "tsc")
    run(folder, BIN / "node", NPM / "esbuild", "src/index.ts", *BUNDLE, "--outfile=dist/index.js")
    (folder / "dist" / "index.d.ts").write_text(_rolled_up(folder / "types"), "utf-8")


def _rolled_up(types: Path) -> str:
    """The types of all modules in one, which exports what index.ts does."""
    index = (types / "index.d.ts").read_text("utf-8")
    names = {
        name.split()[-1]
        for group in re.findall(r"{ (.*?),? }", index, re.DOTALL)
        for name in group.split(", ")
    }
    text = "".join(
        (types / f"{module}.d.ts").read_text("utf-8")
        for module in dict.fromkeys(re.findall(r"from '\./(\w+)\.js'", index))
    )
    text = re.sub(r"^import .*\n|^export \{\};\n", "", text, flags=re.MULTILINE)
    declaration = re.compile(r"^export (declare \w+|interface|type) (\w+)", re.MULTILINE)
    text = declaration.sub(lambda found: found[0] if found[2] in names else found[0][7:], text)
    return f"{text}export {{}};\n".replace("    ", "\t")
