"""What is on sale and which stores are open: read from POS systems, set on platforms, confirmed one by one."""
