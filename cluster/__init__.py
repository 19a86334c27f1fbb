"""Deployment: the embedded servers, the Ray cluster and the `hub` command."""
