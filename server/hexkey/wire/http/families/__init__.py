"""Other people's APIs, a file or two each: codecs over the one service, with no logic of their own.

Each lists what it answers in ``OPERATIONS``; its ``DIALECT`` is how it tells errors.
"""
