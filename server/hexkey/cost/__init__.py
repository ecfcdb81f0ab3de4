"""The cost ledger: every cent of the machine's bill ends in exactly one place.

Pure: no clock, no log, no I/O (``readers`` alone opens what measures energy). Integers only: money
in pico-units of the configured currency (1e-12), energy in microjoules, time in nanoseconds.

- ``price``: ``Rented``, ``Owned`` -> ``machine_rate`` -> ``device_rates`` -> a ``Bill`` per device.
- ``ledger``: ``Ledger``, one per device. ``begin_load``/``end_load``, ``open_step``/``close_step``,
  ``lost``, ``advance`` and ``adjust`` move it along; ``open_request``, ``join``, ``finish`` and
  ``settle`` follow a request; ``statement`` tells where everything went.
- ``statement``: ``Statement``, with the ``imbalance`` that must be 0; ``together`` adds devices up.
- ``attribution``: ``Fit`` and ``weigh``, how a step's amount falls on the requests in it.
- ``energy``: ``static_power`` and ``Sampled``, meters that stand beside a ``Bill``.
- ``readers``: ``RaplReader``, ``NvmlReader``, what a ``Sampled`` is fed from.
- ``counterfactual``: ``listed``, ``hosted`` -> a ``Reference``: what other ways would have cost.

The three meters of a device, and so the units of one ledger, are usually::

    Ledger({"cost": Bill(rate, now), "energy": static_power(watts, now), "time": seconds(now)}, …)
"""
