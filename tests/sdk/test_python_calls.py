"""Methods of the Python client: what they take, what they return, and what they raise."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from inspect import signature
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from openapi.sdk.packages import FACADE
from service.engine.spec.client_names import client_names
from service.specification import specification
from tests.kit.serving import PASSWORD, Person, Server


@pytest.fixture
def anna(service: Server) -> Person:
    return service.sign_up()


@pytest.fixture
def hers(anna: Person, client: Callable[..., Any]) -> Any:
    """Anna's client."""
    byline = client(anna.server.url)
    byline.sign_in(anna.email, PASSWORD)
    return byline


def test_a_post_is_written_read_found_changed_and_deleted(hers: Any, sdk: Any) -> None:
    post = hers.posts.create(title="In the Café", content="Two coffees.")
    assert hers.posts.get(post) == hers.posts.get(post.id) == hers.posts.get(str(post.id)) == post
    assert [one.id for one in hers.posts.list(author_id=post.author.id)] == [post.id]
    changed = hers.posts.update(post, title="Again")
    assert (changed.title, changed.content) == ("Again", "Two coffees.")
    assert hers.posts.delete(changed) is None
    with pytest.raises(sdk.NotFound):
        hers.posts.get(post)


def test_the_same_in_tasks(anna: Person, sdk: Any, async_client: Callable[..., Any]) -> None:
    async def tour() -> None:
        async with async_client(anna.server.url) as byline:
            await byline.sign_in(anna.email, PASSWORD)
            post = await byline.posts.create(title="In the Café", content="Two coffees.")
            assert [one.id async for one in byline.posts.list(author_id=anna.id)] == [post.id]
            changed = await byline.posts.change(post, lambda seen: {"title": f"{seen.title}!"})
            assert changed.title == "In the Café!"
            with pytest.raises(sdk.PreconditionFailed) as refused:
                await byline.posts.delete(post)
            assert refused.value.current == changed
            await byline.posts.delete(changed)
            assert [line["type"] async for line in byline.auth.export()][:1] == ["account"]
            with pytest.raises(sdk.NotFound):
                await byline.posts.get(post)
            await byline.sign_out()
            with pytest.raises(sdk.AuthenticationRequired):
                await byline.auth.get_me()

    asyncio.run(tour())


def test_both_clients_have_the_same_methods(sdk: Any) -> None:
    clients = [getattr(sdk, FACADE)("http://x"), getattr(sdk, f"Async{FACADE}")("http://x")]
    members = [[name for name in dir(one) if name[0] != "_"] for one in clients]
    assert {name.replace("aclose", "close") for name in members[1]} == set(members[0])
    for tag, _ in client_names(specification.document).values():
        apis = [getattr(one, tag) for one in clients]
        names = [name for name in dir(apis[0]) if name[0] != "_"]
        assert names == [name for name in dir(apis[1]) if name[0] != "_"]
        for name in names:
            synchronous, asynchronous = (signature(getattr(api, name)) for api in apis)
            taken = [list(one.parameters) for one in (synchronous, asynchronous)]
            assert taken[0] == taken[1]
            returned = asynchronous.return_annotation.replace("AsyncPages", "Pages")
            assert returned.replace("AsyncLines", "Lines") == synchronous.return_annotation


def test_a_change_is_made_from_the_version_that_was_read(hers: Any, sdk: Any) -> None:
    post = hers.posts.create(title="One", content="x")
    changed = hers.posts.update(post, title="Two")
    with pytest.raises(sdk.PreconditionFailed) as refused:
        hers.posts.update(post, title="Three")
    assert refused.value.current == changed
    assert refused.value.current.etag == changed.etag != post.etag
    assert hers.posts.update(refused.value.current, title="Three").title == "Three"
    assert hers.posts.update(post.id, title="Four").title == "Four"  # of any version
    with pytest.raises(sdk.PreconditionFailed):
        hers.posts.update(post.id, title="Five", if_match=post.etag)


def test_an_object_of_a_list_is_changed_unless_somebody_else_was_faster(
    hers: Any, sdk: Any
) -> None:
    post = hers.posts.create(title="One", content="x")
    [listed] = hers.posts.list(author_id=post.author.id)
    [again] = hers.posts.list(author_id=post.author.id)
    assert listed.etag is None
    assert hers.posts.update(listed, title="Two").title == "Two"
    with pytest.raises(sdk.PreconditionFailed) as refused:
        hers.posts.update(again, title="Three")
    assert refused.value.current.title == "Two"


def test_a_change_is_repeated_until_nobody_else_was_faster(hers: Any) -> None:
    post = hers.posts.create(title="0", content="x")
    seen = []

    def count(current: Any) -> dict[str, str] | None:
        seen.append(current.title)
        if len(seen) < 4:
            hers.posts.update(post.id, title=f"{len(seen)}")
        return {"title": f"{current.title}!"}

    assert hers.posts.change(post.id, count).title == "3!"
    assert seen == ["0", "1", "2", "3"]
    assert hers.posts.change(post, lambda current: None).title == "3!"


def test_an_etag_is_no_part_of_what_it_is_the_version_of(hers: Any) -> None:
    post = hers.posts.create(title="One", content="x")
    [listed] = hers.posts.list(author_id=post.author.id)
    assert post.etag
    assert post == listed
    assert post.etag not in repr(post)
    assert "etag" not in post.to_dict()


def test_a_problem_is_an_exception_of_its_own(hers: Any, sdk: Any, anna: Person) -> None:
    with pytest.raises(sdk.InvalidRequest) as refused:
        hers.posts.create(title="", content="x")
    error = refused.value
    assert isinstance(error, sdk.ApiError)
    assert (error.status, error.code, error.headers["X-Request-Id"]) == (
        *(400, "invalid-request"),
        error.request_id,
    )
    assert [(one.pointer, one.code) for one in error.errors] == [("/title", "min-length")]
    assert error.problem.title == error.title
    for said in ("400", "invalid-request", "/title", error.request_id):
        assert said in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert sdk.EmailTaken.__doc__ == "409 `email-taken`: The e-mail address is taken."
    with pytest.raises(sdk.EmailTaken):
        hers.auth.register(email=anna.email, password=PASSWORD)


def test_a_problem_that_is_newer_than_the_client_is_an_error_too(sdk: Any) -> None:
    body = {"type": "/problems/out-of-tea", "title": "Out of tea", "status": 418, "detail": "No."}
    body |= {"instance": "urn:request:1", "code": "out-of-tea", "request_id": "1"}
    error = sdk.errors.problem_of(httpx.Response(418, json=body))
    assert type(error) is sdk.ApiError
    assert (error.code, error.status) == ("out-of-tea", 418)


def test_values_may_be_plain(hers: Any, service: Server, client: Callable[..., Any]) -> None:
    admin = service.make_admin(service.sign_up())
    admins = client(service.url)
    admins.sign_in(admin.email, PASSWORD)
    account = admins.users.create(email=f"{uuid4()}@example.com", role="admin")
    assert isinstance(account.id, UUID)
    [found] = admins.users.list_accounts(role="admin", email=admin.email)
    assert found.role == "admin"
    token = hers.tokens.create(name="x", scopes=["account:read"])
    assert token.scopes == ["account:read"]
    assert admins.users.recover_account(account) is None  # its body is optional, and left out


def test_a_request_has_a_key_of_its_own_and_one_of_yours_is_kept(hers: Any, sdk: Any) -> None:
    one, other = (hers.posts.create(title="A", content="x") for _ in range(2))
    assert one.id != other.id
    first, again = (hers.posts.create(title="B", content="x", idempotency_key="k") for _ in "ab")
    assert first == again
    with pytest.raises(sdk.IdempotencyKeyReused):
        hers.posts.create(title="C", content="x", idempotency_key="k")


@pytest.mark.parametrize("id_", ["", ".", ".."])
def test_what_would_be_another_address_is_no_id(id_: str, hers: Any) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        hers.auth.revoke_session(id_)


def test_the_functions_of_the_api_wait_ten_seconds_at_most(sdk: Any, service: Server) -> None:
    for raw in (sdk.Client(service.url), sdk.AuthenticatedClient(service.url, token="x")):
        with raw:
            assert raw.get_httpx_client().timeout == httpx.Timeout(10)


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_the_address_of_a_service_may_have_a_slash_at_its_end(
    end: str, service: Server, client: Callable[..., Any]
) -> None:
    assert client(service.url + end).ops.get_liveness().status == "ok"


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://", "http://a:b@c", "/x"])
def test_what_is_no_address_is_refused_at_once(url: str, client: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="base_url"):
        client(url)
