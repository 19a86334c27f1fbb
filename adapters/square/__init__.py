"""Square: a POS."""

from adapters.square.adapter import Square
from adapters.square.stores import VERSION
from adapters.square.webhooks import SquareIngress
from hub.contract import AuthorizationCode, Provider, load_facts

FACTS = load_facts(__name__)

PROVIDER = Provider(
    facts=FACTS,
    adapter=Square,
    auth=lambda facts: AuthorizationCode(
        "/oauth2/token",
        "/oauth2/authorize",
        facts.auth.scopes,
        extra_headers={"Square-Version": VERSION},
        consent_fields={"session": "false"},
    ),
    ingress=SquareIngress(),
)
