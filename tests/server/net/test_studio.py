"""What the server sends as the studio: the page and its files, and that they are what the sources make."""

import contextlib
import gzip
import hashlib
import http.client
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import studio_texts
from layerfusion.server import net
from layerfusion.server.protocol import json_schema

SITE = Path(net.__path__[0]) / "studio" / "site"
SOURCES = Path(__file__).parents[3] / "server" / "net" / "studio"


def text(path):
    return path.read_text("utf-8")


def test_the_files_are_served_to_anybody_and_hold_no_secret(subtests, server):
    for path, kind in [
        ("/studio", "text/html"),
        ("/studio/studio.js", "text/javascript"),
        ("/studio/studio.css", "text/css"),
        ("/studio/icon.svg", "image/svg+xml"),
        ("/studio/licences.txt", "text/plain"),
    ]:
        with subtests.test(path=path), contextlib.closing(http.client.HTTPConnection(*server.address)) as request:
            request.request("GET", path)
            answer = request.getresponse()
            assert (answer.status, answer.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
            assert server.runtime.token not in answer.read().decode()


def test_the_page_asks_for_its_own_files_only_and_has_nothing_inline():
    page = text(SITE / "studio.html")
    asked = re.findall(r"(?:src|href)=\"([^\"]+)\"", page)
    assert asked == ["/studio/icon.svg", "/studio/studio.css", "/studio/studio.js", "/", "/"]
    assert not re.search(r"\son\w+=|<style|\sstyle=|<script(?! type=\"module\" src)", page)
    assert "url(" not in text(SITE / "studio.css")
    assert "@import" not in text(SITE / "studio.css")


def test_every_field_and_button_of_the_page_has_a_name():
    page = text(SITE / "studio.html")
    for field, rest in re.findall(r"<(?:input|select|textarea) id=\"([^\"]+)\"([^>]*)>", page):
        assert f'<label for="{field}">' in page or "aria-label=" in rest
    for button in re.findall(r"<button [^>]*>([^<]*)</button>", page):
        assert button.strip()


def test_the_script_is_small():
    assert len(gzip.compress((SITE / "studio.js").read_bytes())) < 200_000


def test_the_types_of_the_messages_are_those_of_the_schema():
    """If this fails: `make studio`."""
    schema = json.dumps(json_schema.document(), indent=2) + "\n"
    digest = hashlib.sha256(schema.encode()).hexdigest()
    assert text(SOURCES / "src" / "protocol.ts").startswith(f"// Schema {digest}\n")


def test_the_script_is_made_of_the_present_sources():
    """If this fails: `make studio`."""
    names = ["build.mjs", "package-lock.json", *(f"src/{path.name}" for path in (SOURCES / "src").glob("*.ts"))]
    sources = "".join(f"{name}\n{text(SOURCES / name)}" for name in sorted(names))
    tables = json.dumps(studio_texts.tables(), ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256((sources + tables).encode())
    assert text(SITE / "studio.js").startswith(f"// Sources {digest.hexdigest()}\n")


def test_the_sources_make_the_same_bytes_again(tmp_path):
    if shutil.which("node") is None or not (SOURCES / "node_modules").is_dir():
        pytest.skip("node, or the folder node_modules that `make studio` installs, is missing")
    subprocess.run(["node", "build.mjs", str(tmp_path)], cwd=SOURCES, check=True, timeout=100)
    for name in ("studio.js", "licences.txt"):
        assert (tmp_path / name).read_bytes() == (SITE / name).read_bytes()


def test_the_licences_of_what_is_bundled_come_along():
    licences = text(SITE / "licences.txt")
    bundled = json.loads(text(SOURCES / "package.json"))["dependencies"]
    assert list(bundled) == ["@msgpack/msgpack", "@noble/hashes"]
    for name, version in bundled.items():
        assert f"{name} {version}:" in licences
    assert "Permission to use, copy, modify, and/or distribute this software" in licences  # ISC
    assert "The above copyright notice and this permission notice shall be included" in licences  # MIT
