"""Deliveroo: a delivery platform, by its partner platform suite (Order, Menu and Site APIs)."""

from adapters.deliveroo.adapter import Deliveroo
from adapters.deliveroo.webhooks import DeliverooIngress
from hub.contract import ClientCredentials, Provider, load_facts

FACTS = load_facts(__name__)

PROVIDER = Provider(
    facts=FACTS,
    adapter=Deliveroo,
    auth=lambda facts: ClientCredentials("/oauth2/token", owner="app"),
    ingress=DeliverooIngress(),
)
