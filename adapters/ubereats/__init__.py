"""Uber Eats: a delivery platform, by its order suite."""

from adapters.ubereats.adapter import UberEats
from adapters.ubereats.webhooks import UberEatsIngress
from hub.contract import ClientCredentials, Provider, load_facts

FACTS = load_facts(__name__)

PROVIDER = Provider(
    facts=FACTS,
    adapter=UberEats,
    auth=lambda facts: ClientCredentials("/oauth/v2/token", " ".join(facts.auth.scopes), owner="app"),
    ingress=UberEatsIngress(),
)
