"""How the client works; what it offers is in the modules beside this package."""
