"""Measurements of the whole product; never installed."""
