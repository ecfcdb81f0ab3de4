"""The HTTP wire: JSON and server-sent events over ASGI, served by uvicorn."""
