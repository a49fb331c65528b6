"""A stand-in for a Krita document, with the part of Krita's scripting interface that is needed to read layers."""

from types import SimpleNamespace

WIDTH, HEIGHT = 64, 48
SRGB = "sRGB-elle-V2-srgbtrc.icc"


class Node:
    """A layer with one colour in a rectangle (x, y, width, height), or a group with `children`, bottom first. It has no
    methods that write, so that calling one fails."""

    def __init__(self, name, box=None, children=(), kind=None, **facts):
        self._facts = {
            "name": name,
            "type": kind or ("grouplayer" if children else "paintlayer"),
            "visible": True,
            "opacity": 255,
            "blendingMode": "normal",
            "inheritAlpha": False,
            "layerStyleToAsl": "",
            "animated": False,
            "colorModel": "RGBA",
            "colorDepth": "U8",
            "colorProfile": SRGB,
            **facts,
        }
        self._box = box or (0, 0, 0, 0)
        self._children, self._parent = list(children), None
        for child in self._children:
            child._parent = self

    def __getattr__(self, name):
        facts = self.__dict__["_facts"]
        if name not in facts:
            raise AttributeError(name)
        return lambda: facts[name]

    def change(self, **facts):
        """Change properties, as the artist does in Krita's Layers docker."""
        self._facts.update(facts)

    def uniqueId(self):
        return SimpleNamespace(toString=lambda: "{" + str(id(self)) + "}")

    def parentNode(self):
        return self._parent

    def childNodes(self):
        return list(self._children)

    def bounds(self):
        x, y, width, height = self._box
        return SimpleNamespace(
            x=lambda: x, y=lambda: y, width=lambda: width, height=lambda: height, isEmpty=lambda: width < 1
        )

    def projectionPixelData(self, x, y, width, height):
        left, top, across, down = self._box
        alpha = {"U8": b"\xff", "U16": b"\xff\xff", "F16": b"\x00\x3c", "F32": b"\x00\x00\x80\x3f"}[self.colorDepth()]
        colour = bytes((len(self.name()), 1, 2)) * len(alpha) + alpha
        return b"".join(
            colour if left <= column < left + across and top <= row < top + down else bytes(len(colour))
            for row in range(y, y + height)
            for column in range(x, x + width)
        )


class KritaDocument:
    """A document with layers, bottom first. `select` makes one of them active."""

    def __init__(self, *layers, width=WIDTH, height=HEIGHT):
        self._root = Node("root", children=layers, kind="grouplayer")
        self._size, self._active, self._annotations = (width, height), None, {}

    def rootNode(self):
        return self._root

    def width(self):
        return self._size[0]

    def height(self):
        return self._size[1]

    def colorProfile(self):
        return SRGB

    def activeNode(self):
        return self._active

    def select(self, node):
        self._active = node

    def annotationTypes(self):
        return list(self._annotations)

    def annotation(self, name):
        return self._annotations.get(name, b"")

    def remember(self, name, text):
        self._annotations[name] = text.encode()
