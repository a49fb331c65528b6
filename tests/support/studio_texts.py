"""The texts of the studio, and their translations as build.mjs bundles them."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).parents[2]
STUDIO = ROOT / "server" / "net" / "studio"
LANGUAGES = {"de": "de.json", "ja": "ja.json", "zh-CN": "zh_CN.json"}
ATTRIBUTES = {"aria-label", "placeholder", "title"}


def page() -> str:
    return (STUDIO / "site" / "studio.html").read_text("utf-8")


def scripts() -> str:
    return "".join(path.read_text("utf-8") for path in sorted((STUDIO / "src").glob("*.ts")))


def own(language: str) -> dict[str, str]:
    """The studio's own table of a language."""
    return json.loads((STUDIO / "src" / "translations" / LANGUAGES[language]).read_text("utf-8"))


def shared(language: str) -> dict[str, str]:
    """What the studio uses of the Krita plugin's table."""
    file = ROOT / "krita_plugin" / "layerfusion" / "translations" / LANGUAGES[language]
    table = json.loads(file.read_text("utf-8")) if file.exists() else {}
    html, sources = page(), scripts()

    def is_used(english: str) -> bool:
        literal = f"t({json.dumps(english, ensure_ascii=False)}"
        return literal in sources or f">{english}<" in html or f'="{english}"' in html

    return {english: table[english] for english in table if is_used(english)}


def tables() -> dict[str, dict[str, str]]:
    """Language -> English text -> translation; sorted."""
    return {tag: dict(sorted({**shared(tag), **own(tag)}.items())) for tag in LANGUAGES}


def used() -> set[str]:
    """Every text that the studio shows: those in `t("…")` in the sources, and those of the page."""
    literals = {json.loads(found) for found in re.findall(r'\bt\(\s*("(?:[^"\\]|\\.)*")', scripts())}
    reader = _Page()
    reader.feed(page())
    return literals | reader.texts


class _Page(HTMLParser):
    """Collects what `translatePage` translates."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self._in_body = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_body |= tag == "body"
        self.texts |= {value for name, value in attrs if name in ATTRIBUTES and value}

    def handle_data(self, data: str) -> None:
        if self._in_body and data.strip():
            self.texts.add(data.strip())
