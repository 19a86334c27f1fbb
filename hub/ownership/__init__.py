"""Who runs a connection: leases with epochs, and the seam through which the rest of the hub speaks to owners."""
