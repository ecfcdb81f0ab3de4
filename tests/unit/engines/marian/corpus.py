"""Real English sentences that every Python brings along: the standard library's docstrings."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

MODULES = [
    "argparse",
    "contextlib",
    "csv",
    "datetime",
    "decimal",
    "difflib",
    "fractions",
    "functools",
    "heapq",
    "http.client",
    "json.decoder",
    "logging",
    "mimetypes",
    "optparse",
    "pathlib",
    "pickle",
    "random",
    "sched",
    "shutil",
    "smtplib",
    "socket",
    "statistics",
    "string",
    "subprocess",
    "tarfile",
    "tempfile",
    "textwrap",
    "threading",
    "traceback",
    "turtle",
    "typing",
    "unittest.case",
    "urllib.request",
    "uuid",
    "zipfile",
]
SENTENCE = re.compile(r"[A-Z][A-Za-z ,'-]{45,150}\.")


def english_sentences(count: int) -> list[str]:
    """Return the first `count` whole sentences of plain words, none twice."""
    found: dict[str, None] = {}
    for module in MODULES:
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = " ".join((ast.get_docstring(node) or "").split())
                found |= dict.fromkeys(filter(SENTENCE.fullmatch, re.split(r"(?<=\.) ", text)))
    assert len(found) >= count
    return list(found)[:count]
