"""Whether a result can be seen where it was added, and what hides it if not."""

from __future__ import annotations

from typing import Any

from .jobs import Remedy
from .nodes import hides_all, identity, show
from .translation import tr


def what_hides(document: Any, group: Any) -> tuple[str, Remedy | None]:
    """Why a group cannot be seen, as a sentence, and what makes it visible; empty if it can be seen.

    Args:
        document: Krita's document.
        group: a visible group in it.
    """
    node = group
    while (parent := node.parentNode()) is not None:
        if parent.parentNode() is not None and not parent.visible():
            words = tr("They cannot be seen, because the group “{group}” around them is hidden.", group=parent.name())
            return words, Remedy(tr("Show it"), lambda: show(document, parent))
        siblings = parent.childNodes()
        index = [identity(each) for each in siblings].index(identity(node))
        for above in siblings[index + 1 :]:
            if _covers(document, above):
                return tr("They cannot be seen, because “{layer}” covers them.", layer=above.name()), None
        node = parent
    return "", None


def _covers(document: Any, node: Any) -> bool:
    plain = node.visible() and node.opacity() == 255 and node.blendingMode() == "normal"
    return plain and hides_all(document, node)
