"""Foodics: a POS of the Middle East and North Africa."""

from adapters.foodics.adapter import Foodics
from adapters.foodics.webhooks import FoodicsIngress
from hub.contract import AuthorizationCode, Provider, load_facts

FACTS = load_facts(__name__)

PROVIDER = Provider(
    facts=FACTS,
    adapter=Foodics,
    auth=lambda facts: AuthorizationCode("/oauth/token", "/authorize", facts.auth.scopes, encoding="json", client="body"),
    ingress=FoodicsIngress(),
)
