"""Thin Ray shells round hub classes: one actor a connection, a Supervisor, a Scheduler."""
