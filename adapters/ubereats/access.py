"""The app's token, with the scopes that Uber granted to this app beside the usual ones."""

from collections.abc import Mapping

from hub.contract import ClientCredentials, Request, Token


class AppToken(ClientCredentials):
    """Client credentials; a token with a scope that the app was not granted is refused whole, so further scopes are asked for by name."""

    def token_request(self, credentials: Mapping[str, str], token: Token | None) -> Request | None:
        """A POST of the form, with the scopes under `more_scopes` too."""
        scopes = " ".join(filter(None, (self.scope, credentials.get("more_scopes", "").strip())))
        return ClientCredentials(self.path, scopes, owner=self.owner).token_request(credentials, token)
