"""A tenant's consent in the browser (OAuth 2.0 authorization code): begun by a manager, ended once by whom the vendor sends back."""

from hub.consent.callback import PREFIX, Callback
from hub.consent.flow import ConsentContext

__all__ = ["PREFIX", "Callback", "ConsentContext"]
