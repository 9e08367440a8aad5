"""What the specification says, read once: how Connexion is made fast and strict."""

import warnings

# Connexion imports Starlette's test client, which says at once what it would rather use.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")
