"""People who translate and people who type, for locust.

    locust -f tests/load/locustfile.py --headless -u 8 -r 8 -t 30s --host http://localhost:8080

Name ``Translator`` or ``Typist`` to have only these. A translator sends the next text when the last
is answered. A typist hits ``KEYS_PER_S`` keys a second however slow the answers are, and asks at
each; a newer key ends what the older one asked for, which is what 409 says and no failure.
"""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant_pacing, constant_throughput, task

KEYS_PER_S = 5
SUPERSEDED = 409
TEXTS = Path(__file__).with_name("sentences.txt").read_text().splitlines()
TYPED = "The history of the city begins with a small harbour at the mouth of the river, "
_numbers = count()


class Translator(FastHttpUser):
    """Sends one text after the other, twenty a second at most."""

    wait_time = constant_throughput(20)

    @task
    def translate(self) -> None:
        """Ask, and look at what comes."""
        body = {"text": random.choice(TEXTS), "source": "en", "target": "pt"}
        with self.client.post(
            "/v1/translate", json=body, name="translate", catch_response=True
        ) as response:
            if response.status_code == 200 and not response.json()["translations"][0]["text"]:
                response.failure("an empty translation")


class Typist(FastHttpUser):
    """Writes a sentence, key by key, in a session of its own."""

    wait_time = constant_pacing(1 / KEYS_PER_S)
    concurrency = 16

    def on_start(self) -> None:
        """Begin a session."""
        self.session, self.at = f"locust-{next(_numbers)}", len(TYPED) // 4

    @task
    def hit(self) -> None:
        """Hit the next key, and go on before the answer is there."""
        self.at = self.at + 1 if self.at < len(TYPED) else len(TYPED) // 4
        gevent.spawn(self._complete, TYPED[: self.at])

    def _complete(self, prefix: str) -> None:
        body: dict[str, Any] = {"prefix": prefix, "session": self.session, "max_tokens": 8}
        body |= {"stop_rule": "line", "priority": "interactive"}
        with self.client.post(
            "/v1/autocomplete", json=body, name="autocomplete", catch_response=True
        ) as response:
            if response.status_code == SUPERSEDED:
                response.request_meta["name"] = "superseded"
                response.success()
