"""YAML without its surprises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Hashable

# What PyYAML lets out of its constructors where a value does not fit its tag (``2020-13-45``).
_UNFIT = (ValueError, LookupError, AttributeError)
_HINTS = {
    r"character '\t'": "; indent with spaces",
    "expected <block end>": "; is it indented as the lines around it?",
    "mapping values are not allowed": "; is it indented as the lines around it, or to be quoted?",
}


def read(text: bytes) -> tuple[Any, list[str]]:
    """Return the plain data that a text holds, and what is wrong with its keys.

    Entries with such a key are left out. ``ValueError`` says why the text cannot be read at all.
    """
    try:
        loader = _StrictLoader(text)
        try:
            return loader.get_single_data(), loader.wrong
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError, *_UNFIT) as error:
        raise ValueError(" ".join(_told(error).split())) from None


def _told(error: Exception) -> str:
    """Return what a library's error says, its place first, and a hint for the commonest ones."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error).replace(' in "<byte string>",', " at")
    said = " ".join(filter(None, (error.context, error.problem)))
    hint = next((hint for words, hint in _HINTS.items() if words in said), "")
    return f"{_place(error.problem_mark)}: {said}{hint}"


def _place(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML: keys are text and given once, and what is written is all there is.

    Aliases are refused, since a few lines of them stand for more than any memory holds; so are
    keys that only look like text, such as ``no``, which YAML reads as false.
    """

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.wrong: list[str] = []

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None,
                None,
                "an alias is not taken here; write the value out",
                self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        return super().compose_node(parent, index)

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - yaml's signature
    ) -> dict[Hashable, Any]:
        seen: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for entry in node.value:
            key = self.construct_object(entry[0], deep=True)
            if not isinstance(key, str):
                self._say(entry[0], f"the key {key!r} is not text; put it in quotes")
            elif key in seen:
                self._say(entry[0], f"the key {key!r} is given twice")
            else:
                seen[key] = entry
        node.value = [*seen.values()]
        return super().construct_mapping(node, deep)

    def _say(self, node: yaml.Node, text: str) -> None:
        self.wrong.append(f"{_place(node.start_mark)}: {text}")
