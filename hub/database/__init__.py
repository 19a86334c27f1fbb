"""PostgreSQL, the truth: migrations, connections, and transactions that know their tenant."""
