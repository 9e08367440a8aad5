"""Where the contract and the migrations are: beside the package, in a checkout and in a wheel."""

from pathlib import Path

_ROOT = Path(__file__).parents[1]
OPENAPI = _ROOT / "openapi" / "openapi.yaml"
MIGRATIONS = _ROOT / "alembic"
