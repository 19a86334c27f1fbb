"""The durable mailbox: everything a connection does starts as a message in it."""
