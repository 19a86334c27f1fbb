"""The product in plain async Python: no Ray and no vendor below this package."""
