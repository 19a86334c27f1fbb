"""What holds for every vendor's calls to us: verified over what was sent, and named by what happened."""

import asyncio
import json

import msgspec

from hub.contract import (
    IngressRequest,
    Malformed,
)
from tests.contract.suite.bench import Bench
from tests.contract.suite.pos import order_and_move


async def some_call(bench: Bench) -> IngressRequest:
    """A call of the vendor: a consumer orders, or staff at the POS sell and move an order."""
    start = len(bench.got)
    if bench.facts.kind == "delivery":
        bench.sandbox.place_orders({"store": bench.ref})
    else:
        await order_and_move(bench)
    for _ in range(300):
        if len(bench.got) > start:
            return bench.got[start]
        await asyncio.sleep(0.02)
    raise AssertionError("the vendor did not call")


class IngressChecks:
    """The vendor's calls are verified over what was sent, and named by what happened."""

    async def test_a_right_signature_is_known_and_a_wrong_one_is_not(self, bench: Bench) -> None:
        """The right secret only; also among others, and not when it is empty or a character short."""
        request = await some_call(bench)
        ingress = bench.provider.ingress
        assert ingress is not None
        (secret,) = bench.secrets
        assert ingress.signed(request, [secret])
        assert ingress.signed(request, ["another-secret", secret])
        for wrong in ([], [""], ["another-secret"], [secret[:-1]], [secret + "x"]):
            assert not ingress.signed(request, wrong)

    async def test_a_call_without_proof_is_refused(self, bench: Bench) -> None:
        """No header, an empty one, rubbish in it: refused, never an error; and a refusal is no 2xx."""
        request = await some_call(bench)
        ingress, webhook = bench.provider.ingress, bench.facts.webhook
        assert ingress is not None
        assert webhook is not None
        name = webhook.header.lower()
        for value in (None, "", "rubbish", "Bearer ", "Basic !!!", "\u00e9" * 50, "0" * 64):
            headers = {k: v for k, v in request.headers.items() if k != name} | ({} if value is None else {name: value})
            bare = msgspec.structs.replace(request, headers=headers, suffix="" if webhook.secret_in_address else request.suffix)
            assert not ingress.signed(bare, bench.secrets), value
        for reason in ("bad_signature", "malformed", "not_stored"):
            assert not 200 <= ingress.refused(reason).status < 300

    async def test_changed_bytes_are_noticed_where_bytes_are_signed(self, bench: Bench) -> None:
        """One byte more in the body breaks a signature that covers it."""
        request = await some_call(bench)
        ingress, webhook = bench.provider.ingress, bench.facts.webhook
        assert ingress is not None
        assert webhook is not None
        if "body" not in webhook.scheme or webhook.secret_in_address:
            return
        assert not ingress.signed(msgspec.structs.replace(request, body=request.body + b" "), bench.secrets)

    async def test_a_repeat_is_the_same_fact(self, bench: Bench) -> None:
        """The same call read twice has the same keys; two calls about different things have different ones."""
        first = await some_call(bench)
        again = [fact.dedupe_key for fact in bench.facts_of(first)]
        assert again == [fact.dedupe_key for fact in bench.facts_of(first)]
        second = await some_call(bench)
        others = {fact.dedupe_key for request in bench.got for fact in bench.facts_of(request) if request.body != first.body}
        assert second is not first
        assert not set(again) & others or bench.facts.kind == "pos"

    async def test_rubbish_is_malformed_and_news_is_noted(self, bench: Bench) -> None:
        """What is no JSON is Malformed; a field that nobody knows is nobody's fault."""
        request = await some_call(bench)
        ingress = bench.provider.ingress
        assert ingress is not None
        for body in (b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"null", b"{" * 5000):
            try:
                ingress.facts(msgspec.structs.replace(request, body=body))
            except Malformed:
                continue
        if request.body:
            told = json.loads(request.body)
            told["a_field_of_next_year"] = {"deep": [1, None, "text"]}
            more = msgspec.structs.replace(request, body=json.dumps(told).encode())
            assert [fact.kind for fact in bench.facts_of(more)] == [fact.kind for fact in bench.facts_of(request)]
