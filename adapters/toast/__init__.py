"""Toast: a POS."""

from adapters.toast.adapter import Toast
from adapters.toast.webhooks import ToastIngress
from hub.contract import PasswordLogin, Provider, load_facts

FACTS = load_facts(__name__)

PROVIDER = Provider(
    facts=FACTS,
    adapter=Toast,
    auth=lambda facts: PasswordLogin(
        "/authentication/v1/authentication/login",
        {"clientId": "client_id", "clientSecret": "client_secret"},
        owner="app",
        constants={"userAccessType": "TOAST_MACHINE_CLIENT"},
        access_at=("token", "accessToken"),
        expires_at=("token", "expiresIn"),
    ),
    ingress=ToastIngress(),
)
