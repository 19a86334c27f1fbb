"""Orders: taken in from a platform, submitted to a POS, decided before the deadline, followed to their end."""
