"""A folder per vendor: facts, behaviour, wire format, mapping, webhooks, and the simulated other side."""
