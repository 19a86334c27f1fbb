"""What holds for every adapter: it is what its facts say, and its calls fail as the contract names failures."""

import asyncio
import inspect
import re
from typing import Any

import msgspec
import pytest

from adapters._sandbox.calls import Answer
from hub.contract import (
    AuthRevoked,
    Drifted,
    Misconfigured,
    OAuthCode,
    RateLimited,
    Request,
    RetryLater,
    VendorError,
    capabilities_of,
)
from hub.model import OrderState
from tests.contract.suite.bench import Bench

EVIDENCE = frozenset({"documented", "observed", "inferred", "sandbox-tested"})


def _parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


class Declares:
    """The adapter is what its provider.toml says."""

    async def test_it_implements_exactly_what_it_declares(self, bench: Bench) -> None:
        """Each capability of its kind is there if and only if it is listed, with the contract's parameters."""
        adapter, facts = bench.adapter(), bench.facts
        known = capabilities_of(facts.kind)
        implemented = {name for name, protocol in known.items() if isinstance(adapter, protocol)}
        listed = set(facts.capabilities) - {"ingress", "menu_host"}
        assert implemented == listed
        assert ("ingress" in facts.capabilities) == (bench.provider.ingress is not None) == (facts.webhook is not None)
        assert ("menu_host" in facts.capabilities) == (bench.provider.menu_host is not None)
        for name in listed:
            for method, function in vars(known[name]).items():
                if not method.startswith("_") and inspect.isfunction(function):
                    assert _parameters(getattr(adapter, method)) == _parameters(function), f"{name}.{method}"

    async def test_its_facts_are_whole(self, bench: Bench) -> None:
        """Reasons, states, limits, evidence and the credential form fit each other."""
        facts = bench.facts
        assert facts.environments.keys() >= {"production", "simulator"}
        assert facts.environments["production"].api.startswith("https://")
        assert facts.environments["simulator"].api.startswith("{sandbox}/")
        assert set(facts.order_states) <= {state.value for state in OrderState}
        for word in facts.evidence.values():
            assert word.split(" on ")[0] in EVIDENCE, word
        assert facts.evidence
        if facts.kind == "delivery":
            assert "other" in facts.reject_reasons
            assert facts.accept_deadline > 0
            assert "cancel" not in facts.capabilities or "other" in facts.cancel_reasons
        if facts.webhook is not None:
            assert facts.webhook.secret in facts.credentials
            assert facts.credentials[facts.webhook.secret].secret
            assert facts.credentials[facts.webhook.secret].of == facts.webhook.level
        for name, field in facts.credentials.items():
            assert field.secret or not re.search("secret|password|token|key$", name), f"{name} should be secret"

    async def test_its_extras_are_those_it_names(self, bench: Bench) -> None:
        """Names in provider.toml are the adapter's, each with shapes that can be described."""
        adapter = bench.adapter()
        found = adapter.extras() if hasattr(adapter, "extras") else {}
        assert tuple(sorted(found)) == tuple(sorted(bench.facts.extras))
        for extra in found.values():
            assert (extra.read is None) != (extra.step is None)
            assert msgspec.json.schema(extra.params)
            assert msgspec.json.schema(extra.result)

    async def test_secrets_stay_out_of_sight(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """No secret is in a repr of the adapter or its parts, in the live state, or in the words of a failure."""
        client = bench.client()
        adapter = bench.adapter(client)
        await adapter.test()
        shown = [repr(adapter), repr(client), repr(vars(adapter)), repr(client.auth_state()), repr(client.limits()), caplog.text]
        try:
            await bench.adapter(bench.client(_wrong(bench))).test()
        except VendorError as error:
            shown += [repr(error), str(error), error.detail, error.code]
        for name, field in bench.facts.credentials.items():
            value = bench.credentials.get(name, "")
            if field.secret and len(value) >= 8:
                assert not [text for text in shown if value in text], name

    async def test_consent_leads_to_its_own_host(self, bench: Bench) -> None:
        """Where a tenant consents in a browser, the address is the vendor's and carries state and return address, no secret."""
        auth = bench.provider.auth(bench.facts)
        if not isinstance(auth, OAuthCode):
            assert bench.facts.auth.mode != "oauth2_authorization_code"
            return
        base = bench.facts.environments["production"].base("consent")
        url = auth.consent_url(base, {"client_id": "client-1", "client_secret": "hidden-secret"}, "https://hub.example/back", "state-1")
        assert url.startswith(base)
        assert "state=state-1" in url
        assert "client-1" in url
        assert "hidden-secret" not in url


async def _often(adapter: Any) -> None:
    for _ in range(3):
        await adapter.test()


def _wrong(bench: Bench) -> dict[str, str]:
    """Credentials that the vendor never gave out; ids that are not secret stay right."""
    fields = bench.facts.credentials
    return {name: f"{value[:-6]}Wr0ngQ" if fields[name].secret else value for name, value in bench.credentials.items()}


class Calls:
    """Every failure of a call is named by what happens next."""

    async def test_the_right_credentials_work(self, bench: Bench) -> None:
        """The harmless read says what it found."""
        assert await bench.adapter().test()

    async def test_wrong_credentials_are_revoked_access(self, bench: Bench) -> None:
        """Nobody tries for ever with a key that the vendor refuses."""
        with pytest.raises(AuthRevoked):
            await bench.adapter(bench.client(_wrong(bench))).test()

    async def test_an_expired_token_is_refreshed_once(self, bench: Bench) -> None:
        """A token that ended early costs one more token and no failure."""
        if bench.provider.auth(bench.facts).token_request(bench.credentials, None) is None:
            return
        client = bench.client()
        adapter = bench.adapter(client)
        await adapter.test()
        await bench.fault(expire_tokens=True)
        assert await adapter.test()

    async def test_tokens_refused_again_and_again_are_a_revocation(self, bench: Bench) -> None:
        """One fresh token that is refused may be chance; several in a row suspend the connection."""
        if bench.provider.auth(bench.facts).token_request(bench.credentials, None) is None:
            return
        adapter = bench.adapter()
        await adapter.test()
        await bench.fault(expire_tokens=1.0)
        raised: list[type[VendorError]] = []
        for _ in range(6):
            try:
                await adapter.test()
            except (AuthRevoked, RetryLater) as error:
                raised.append(type(error))
        assert raised[:2] == [RetryLater, RetryLater]
        assert AuthRevoked in raised

    async def test_a_limit_is_honoured(self, bench: Bench) -> None:
        """429 stops calls for as long as the vendor says, and is no failure for good."""
        client = bench.client()
        adapter = bench.adapter(client)
        await adapter.test()
        await bench.fault(rate_limit=0.01)
        client = bench.client()
        adapter = bench.adapter(client)
        with pytest.raises(RateLimited) as first:
            await _often(adapter)
        assert first.value.after is None or first.value.after > 0
        before = sum(bench.sandbox.calls.values())
        with pytest.raises(RateLimited):
            await adapter.test()
        assert sum(bench.sandbox.calls.values()) <= before + 1

    async def test_a_vendors_fault_is_tried_again(self, bench: Bench) -> None:
        """5xx on a read is later, not never."""
        adapter = bench.adapter()
        await bench.read(adapter)
        await bench.fault(error_rate=1)
        with pytest.raises(RetryLater):
            await bench.read(adapter)

    async def test_no_answer_is_tried_again(self, bench: Bench) -> None:
        """A read whose answer never came is later."""
        adapter = bench.adapter()
        await bench.read(adapter)
        await bench.fault(timeout_after_effect=1, hold_ms=20)
        with pytest.raises(RetryLater):
            await bench.read(adapter)

    async def test_a_garbled_answer_is_drift(self, bench: Bench) -> None:
        """What cannot be read is neither success nor the tenant's fault."""
        adapter = bench.adapter()
        await bench.read(adapter)
        await bench.fault(malformed=1)
        with pytest.raises(Drifted):
            await bench.read(adapter)

    async def test_html_instead_of_json_is_never_success(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy's page with status 200 is drift as well."""
        adapter = bench.adapter()
        await bench.read(adapter)
        monkeypatch.setattr(bench.sandbox, "handle", lambda *_: Answer(200, b"<html><body>Bad gateway</body></html>"))
        with pytest.raises(Drifted):
            await bench.read(adapter)

    async def test_nothing_but_the_vendors_hosts_is_called(self, bench: Bench) -> None:
        """Whatever was called was the environment's."""
        adapter = bench.adapter()
        await adapter.test()
        if hasattr(adapter, "list_stores"):
            await adapter.list_stores()
        assert bench.called == {bench.root}

    async def test_no_token_leaves_for_another_host(self, bench: Bench) -> None:
        """A whole address that is not the vendor's is not called, whatever port or user name it wears."""
        client = bench.client()
        adapter = bench.adapter(client)
        await adapter.test()
        host = bench.root.partition("://")[2]
        for address in (
            "http://127.0.0.1:9/steal",
            "https://vendor.example.com/steal",
            f"http://{host}@127.0.0.1:9/steal",
            f"https://{host}.example.com/steal",
            "ftp://127.0.0.1/steal",
        ):
            with pytest.raises(Misconfigured):
                await client.read(Request("GET", address, "steal"))
        assert bench.called == {bench.root}

    async def test_a_call_that_is_given_up_leaves_no_socket(self, bench: Bench) -> None:
        """Cancelling a slow call closes what it held."""
        adapter = bench.adapter()
        await adapter.test()
        await bench.fault(latency_ms=5000)
        task = asyncio.create_task(adapter.test())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        connector: Any = bench.session.connector
        assert not connector._acquired

    async def test_its_stores_have_what_links_need(self, bench: Bench) -> None:
        """Every store has a reference; the one of the simulator is among them, with its currency where the vendor tells one."""
        adapter = bench.adapter()
        if "stores" not in bench.facts.capabilities:
            return
        stores = {store.ref: store for store in await adapter.list_stores()}
        assert bench.ref in stores
        assert stores[bench.ref].currency in ("", bench.currency)
        assert stores[bench.ref].name
