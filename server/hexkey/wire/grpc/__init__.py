"""hexkey over gRPC: ``hexkey.v1.InferenceService``, health and reflection."""

import os

# Our children are started by exec and never use gRPC; its fork handlers would only warn.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
# What its core logs quotes clients as they are, line ends included, and waits for who reads stderr.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
