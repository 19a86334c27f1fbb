"""What the embedded servers can fail with."""


class EmbeddedError(RuntimeError):
    """An embedded server cannot run here; the message says why and what mends it."""
