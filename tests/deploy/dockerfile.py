"""Reads a Dockerfile: stages of instructions, as far as ours uses the language."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One instruction; ``flags`` are its ``--name=value`` words, ``text`` is what follows them."""

    keyword: str
    flags: tuple[str, ...]
    text: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)

    @property
    def exec_form(self) -> list[str]:
        """The command as a list; ``ValueError`` where it is written for a shell."""
        command = json.loads(self.text)
        if not isinstance(command, list) or not all(isinstance(one, str) for one in command):
            raise ValueError(self.text)
        return command


@dataclass
class Stage:
    """``FROM base AS name`` and what follows."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)


class Dockerfile:
    """The stages of a file, by name; the last one is what a build without a target makes."""

    def __init__(self, path: Path) -> None:
        self.stages: dict[str, Stage] = {}
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        text = re.sub(r"\\\n", " ", "\n".join(lines))
        for line in filter(None, map(str.strip, text.splitlines())):
            keyword, _, rest = line.partition(" ")
            if keyword == "FROM":
                base, _, name = rest.partition(" AS ")
                stage = self.stages[name] = Stage(name, base)
            else:
                stage.instructions.append(_instruction(keyword, rest))

    @property
    def default(self) -> str:
        return list(self.stages)[-1]

    def bases(self) -> list[str]:
        """The images that are pulled."""
        return [one.base for one in self.stages.values() if one.base not in self.stages]

    def all(self, keyword: str) -> list[Instruction]:
        """Every instruction of a kind, in whichever stage."""
        stages = self.stages.values()
        return [one for stage in stages for one in stage.instructions if one.keyword == keyword]

    def of(self, target: str, keyword: str) -> list[Instruction]:
        """Instructions of a kind that shape the image ``target``, those it inherits first."""
        if target not in self.stages:
            return []
        stage = self.stages[target]
        own = [one for one in stage.instructions if one.keyword == keyword]
        return self.of(stage.base, keyword) + own


def _instruction(keyword: str, rest: str) -> Instruction:
    flags = []
    while match := re.match(r"(--[a-z-]+=\S+)\s+", rest):
        flags.append(match[1])
        rest = rest[match.end() :]
    return Instruction(keyword, tuple(flags), rest)
