"""Lightspeed Restaurant K-Series: a POS."""

from adapters.lightspeed.adapter import Lightspeed
from adapters.lightspeed.webhooks import LightspeedIngress
from hub.contract import AuthorizationCode, Provider, load_facts

FACTS = load_facts(__name__)

PROVIDER = Provider(
    facts=FACTS,
    adapter=Lightspeed,
    auth=lambda facts: AuthorizationCode("/oauth/token", "/oauth/authorize", facts.auth.scopes, encoding="form", client="basic"),
    ingress=LightspeedIngress(),
)
