"""How Connexion is made fast and strict: the only folder that touches its inner classes."""

import warnings

# Connexion imports Starlette's test client, which says at once what it would rather use.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")
