"""Where the contract and the migrations are: beside the package in a checkout, in it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
BUNDLE = _PACKAGE / "bundle"  # made by `packaging`
_PARENT = BUNDLE if BUNDLE.exists() else _PACKAGE.parent
OPENAPI = _PARENT / "openapi" / "openapi.yaml"
MIGRATIONS = _PARENT / "alembic"
