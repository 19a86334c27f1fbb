"""DoorDash: a delivery platform, by its Marketplace API."""

from adapters.doordash.access import access_token
from adapters.doordash.adapter import DoorDash
from adapters.doordash.webhooks import DoorDashIngress, DoorDashMenus
from hub.contract import Provider, load_facts

FACTS = load_facts(__name__)

PROVIDER = Provider(
    facts=FACTS,
    adapter=DoorDash,
    auth=lambda facts: access_token(),
    ingress=DoorDashIngress(),
    menu_host=DoorDashMenus(),
)
