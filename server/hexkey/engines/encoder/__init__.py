"""The ``encoder`` engine: BERT-family sentence encoders, for embed, rerank and classify."""

from hexkey.engines.encoder.loading import load

__all__ = ["load"]
