"""Menus: read from a POS as numbered versions, shown on platforms."""
