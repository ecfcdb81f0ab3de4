"""Engines: what computes, each in a host process of its own."""
