"""Uber Eats: a delivery platform, by its order suite."""

from adapters.ubereats.access import AppToken
from adapters.ubereats.adapter import UberEats
from adapters.ubereats.webhooks import UberEatsIngress
from hub.contract import Provider, load_facts

FACTS = load_facts(__name__)

PROVIDER = Provider(
    facts=FACTS,
    adapter=UberEats,
    auth=lambda facts: AppToken("/oauth/v2/token", " ".join(facts.auth.scopes), owner="app"),
    ingress=UberEatsIngress(),
)
