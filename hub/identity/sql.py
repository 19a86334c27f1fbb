"""The named queries of identity.sql."""

from pathlib import Path
from typing import Any

from hub.database.queries import load_queries

SQL: Any = load_queries(Path(__file__).with_name("identity.sql"))
