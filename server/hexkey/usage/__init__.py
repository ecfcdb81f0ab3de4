"""The usage ledger on disk: one row for each request that ran, and what no request paid for.

- ``row``: ``Row``, a line of the ledger. It holds no text of anybody's.
- ``store``: ``Store``, a folder with one SQLite file a day, for its owner only.
- ``ballast``: ``Ballast``, disk space held back for the day when there is none.
- ``writer``: ``Writer``, the thread between the server and the store.
- ``report``: sums of rows by tenant, task, model …; ``period``: since when; ``formats`` and
  ``focus``: how they are printed.

All amounts are integers: pico-units of the currency, nanoseconds, microjoules.
"""
