"""Mutants that believe what clients, hosts and proxies say of themselves."""

from tests.mutants.mutant import Mutant

KINDS = {
    "who comes through the edge": [
        Mutant(
            "a client says itself where it comes from",
            "service/engine/http/proxies.py",
            "in map(str.strip, reversed(nearest)):",
            "in map(str.strip, nearest):",
            "tests/web/test_proxies.py"
            "::test_the_client_is_the_rightmost_address_that_no_trusted_proxy_has",
        ),
        Mutant(
            "the metrics are for everybody where no token is set",
            "service/engine/tokens/authority.py",
            "            if not (_is_loopback(self._settings.host) and _is_from_here(request)):",
            "            if not self._settings.host:",
            "tests/web/test_metrics_access.py::test_a_server_beyond_loopback_has_no_metrics_without_a_token",
        ),
        Mutant(
            "a host that only ends like a trusted one is trusted",
            "service/engine/http/hosts.py",
            'tuple(host[1:] for host in hosts if host.startswith("*."))',
            'tuple(host[2:] for host in hosts if host.startswith("*."))',
            "tests/web/test_hosts.py::test_any_other_host_is_refused",
        ),
        Mutant(
            "the document says the limits of the file, not those of the operator",
            "service/engine/spec/publication.py",
            'limits = dict(config["RATE_LIMITS"])',
            "limits: dict[str, str] = {}",
            "tests/engine/test_published_limits.py"
            "::test_it_says_the_limits_that_the_operator_has_set",
        ),
    ],
}
