"""A small reader of the report's HTML, so that tests ask about structure and not about text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "input", "br", "img", "link", "hr"}


@dataclass
class Node:
    """An element, its attributes, and what is inside it, in order."""

    tag: str
    attributes: dict[str, str]
    inside: list[Node | str] = field(default_factory=list)

    def all(self, tag: str, css: str = "") -> list[Node]:
        """Return the elements of a tag, and of a class if given, in document order."""
        found = []
        for child in self.inside:
            if isinstance(child, Node):
                classes = child.attributes.get("class", "").split()
                found += [child] if child.tag == tag and (not css or css in classes) else []
                found += child.all(tag, css)
        return found

    def one(self, tag: str, css: str = "") -> Node:
        """Return the first such element; fails when there is none."""
        return self.all(tag, css)[0]

    @property
    def text(self) -> str:
        """The text inside, with spaces run together."""
        parts = [c if isinstance(c, str) else c.text for c in self.inside]
        return " ".join(" ".join(parts).split())

    def everything(self) -> list[Node]:
        """Return every element inside."""
        children = [c for c in self.inside if isinstance(c, Node)]
        return children + [n for c in children for n in c.everything()]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("root", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {k: v or "" for k, v in attrs})
        self.open[-1].inside.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Node(tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        node = self.open.pop()
        assert node.tag == tag, f"</{tag}> closes <{node.tag}>"

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def read(html: str) -> Node:
    """Parse a page; fails when an element is not closed or closed in the wrong order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [reader.root], f"not closed: {[n.tag for n in reader.open[1:]]}"
    return reader.root
