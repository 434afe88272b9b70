"""Memory bank, instance recognition, local aggregation, supervised control."""
