"""Payload schemas: a TOML text becomes one model, and small emitters over it make everything else."""
