"""The front door: command line, settings, wiring, demo and console."""
