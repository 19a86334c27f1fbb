"""Square: a POS."""

from adapters.square.adapter import VERSION, Square
from adapters.square.webhooks import SquareIngress
from hub.contract import Provider, RefreshToken, load_facts

FACTS = load_facts(__name__)

PROVIDER = Provider(
    facts=FACTS,
    adapter=Square,
    auth=lambda facts: RefreshToken("/oauth2/token", extra_headers={"Square-Version": VERSION}),
    ingress=SquareIngress(),
)
