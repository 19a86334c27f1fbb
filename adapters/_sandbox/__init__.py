"""What every vendor's simulated side shares: one server, fault switches, a webhook sender, and the control API."""
