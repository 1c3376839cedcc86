"""Chips, sensors, a concentrator and a network server, as models in virtual time."""
