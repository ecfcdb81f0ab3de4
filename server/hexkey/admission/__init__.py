"""Who may run, and when: a permit is the proof.

::

    Gate.admit ─ ticket ──> Scheduler   decides, per model: who waits, who starts, who is refused
         │                    ├─ Lanes      priority classes, tenants in them, in fair order
         │                    └─ Estimator  tokens of a text, seconds of a request; learned
         └── Permit           the right to run; given back when the engine is done with the request

The engine gets as many requests as fill its batch, since only what is inside can be batched; the
rest waits here, since only what waits here can be ordered, refused or dropped. See ADR 0009.
"""

from hexkey.admission.gate import Gate, Permit

__all__ = ["Gate", "Permit"]
