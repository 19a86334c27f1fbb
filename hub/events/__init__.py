"""Events: a tenant's history in commit order, read by cursor, pushed to screens."""
