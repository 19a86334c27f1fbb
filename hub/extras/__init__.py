"""Extras: calls of an adapter beside the capabilities. Reads are answered by the connection's owner, runs go through its mailbox."""
