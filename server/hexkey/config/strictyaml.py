"""YAML without its surprises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Hashable

# What PyYAML lets out of its constructors where a value does not fit its tag (``2020-13-45``).
_UNFIT = (ValueError, LookupError, AttributeError)


def read(text: bytes) -> Any:
    """Return the plain data that a text holds; ``ValueError`` says what is wrong with it."""
    try:
        return yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader underneath
    except (yaml.YAMLError, RecursionError, *_UNFIT) as error:
        raise ValueError(" ".join(str(error).split())) from None


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML: keys are text and given once, and what is written is all there is.

    Aliases are refused, since a few lines of them stand for more than any memory holds; so are
    keys that only look like text, such as ``no``, which YAML reads as false.
    """

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
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"the key {key!r} is not text; put it in quotes",
                    key_node.start_mark,
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
