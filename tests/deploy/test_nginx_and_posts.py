"""Posts through nginx: their pages, their retries, their compression, their tags and limits."""

from __future__ import annotations

from random import sample

from tests.kit.proxy import nginx

LONG = "One more sentence about tea. " * 100


def test_lists_and_the_documentation_are_compressed(site, reader):
    reader.post(content=LONG)
    with site.proxy.client(headers={"Accept-Encoding": "gzip"}) as http:
        paths = ["/api/posts", "/docs/swagger-ui-bundle.js", "/openapi.json", "/openapi.yaml"]
        found = {path: http.get(path) for path in paths}
        again = http.get(
            "/openapi.yaml", headers={"If-None-Match": found[paths[-1]].headers["ETag"]}
        )

    assert {path: a.headers.get("Content-Encoding") for path, a in found.items()} == dict.fromkeys(
        paths, "gzip"
    )
    assert all("Accept-Encoding" in answer.headers["Vary"] for answer in found.values())
    assert again.status_code == 304


def test_paging_retries_and_head_pass_unchanged(site, reader):
    body = {"title": "Once", "content": LONG}
    key = {"Idempotency-Key": "from-afar"}
    first, second = (reader.http.post("/api/posts", json=body, headers=key) for _ in range(2))
    reader.post()
    page = reader.http.get(f"/api/posts?limit=1&author_id={reader.id}")
    head = reader.http.head(first.headers["Location"])
    get = reader.http.get(first.headers["Location"])

    assert second.json() == first.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert page.links["next"]["url"].startswith("/api/posts?")
    assert reader.http.get(page.links["next"]["url"]).json() == [first.json()]
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(get.content)))
    assert head.headers["ETag"] == get.headers["ETag"]


def test_the_limiter_counts_clients_by_their_address_whatever_they_claim(site):
    def searches(address):
        with site.proxy.client(address) as http:
            for number in range(11):
                claim = {"X-Forwarded-For": f"10.1.1.{number}", "Forwarded": f"for=10.2.2.{number}"}
                yield http.get("/api/search?q=tea", headers=claim).status_code

    # A store that others use as well may know the usual ones.
    first, other = (
        f"127.{number % 256}.{number >> 8}.1" for number in sample(range(2560, 65536), 2)
    )
    assert list(searches(first)) == [200] * 10 + [429]
    assert next(searches(other)) == 200


def test_a_tag_that_gzip_has_made_weak_is_good_for_writing(site, reader):
    port = site.upstreams[0].port
    headers = {"Accept-Encoding": "gzip", **reader.http.headers}
    with (
        nginx(site.folder, port, more="gzip on;\n") as proxy,
        proxy.client(headers=headers) as http,
    ):
        made = http.post("/api/posts", json={"title": "Long", "content": LONG})
        post = made.headers["Location"]
        for number in range(3):
            read = http.get(post)
            assert read.headers["Content-Encoding"] == "gzip"
            tag = read.headers["ETag"]
            assert tag.startswith("W/"), "nginx has changed it"
            assert http.get(post, headers={"If-None-Match": tag}).status_code == 304
            change = {"title": f"Changed {number}"}
            written = http.patch(post, json=change, headers={"If-Match": tag})
            assert (written.status_code, written.json()["title"]) == (200, change["title"])
            assert http.patch(post, json=change, headers={"If-Match": tag}).status_code == 412
        assert http.delete(post, headers={"If-Match": http.get(post).headers["ETag"]}).is_success


def test_an_etag_that_came_through_is_good_for_writing(site, reader):
    with site.proxy.client(headers={"Accept-Encoding": "gzip", **reader.http.headers}) as http:
        made = http.post("/api/posts", json={"title": "Long", "content": LONG})
        post = made.headers["Location"]
        read = http.get(post)
        fresh = http.get(post, headers={"If-None-Match": read.headers["ETag"]})
        change = {"title": "Changed"}
        written = http.patch(post, json=change, headers={"If-Match": made.headers["ETag"]})
        stale = http.patch(post, json=change, headers={"If-Match": read.headers["ETag"]})

    assert made.headers["ETag"] == read.headers["ETag"]
    assert read.headers["ETag"].startswith('"')
    assert (fresh.status_code, fresh.content) == (304, b"")
    assert fresh.headers["ETag"] == read.headers["ETag"]
    assert (written.status_code, stale.status_code) == (200, 412)
