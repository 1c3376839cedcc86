"""Single parts of the gateway on a test's bench: no air, no firmware, the clock in the test's hand."""
