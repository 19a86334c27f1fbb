"""The HTTP interface under /api/v1: thin controllers over the rooms of the hub."""
