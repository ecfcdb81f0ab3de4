"""hexkey: say the task, not the model."""

__version__ = "0.1.0"
