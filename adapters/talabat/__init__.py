"""Talabat: a delivery platform, by Delivery Hero's POS middleware."""

from adapters.talabat.adapter import Talabat
from adapters.talabat.webhooks import TalabatIngress
from hub.contract import PasswordLogin, Provider, load_facts

FACTS = load_facts(__name__)

PROVIDER = Provider(
    facts=FACTS,
    adapter=Talabat,
    auth=lambda facts: PasswordLogin(
        "/v2/login",
        {"username": "username", "password": "password"},
        owner="app",
        encoding="form",
        constants={"grant_type": "client_credentials"},
    ),
    ingress=TalabatIngress(),
)
