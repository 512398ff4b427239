"""Reads pages in tests, as strictly as no browser does."""

from __future__ import annotations

import base64
import io
import itertools
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

VOID = {"meta", "img", "input", "wbr"}


class Reader(HTMLParser):
    """Reads a page strictly: every tag closed in its order; keeps tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data.replace("\xa0", " ")

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def assert_sound(html: str) -> Reader:
    """A whole page that a browser, a phone and a screen reader can use, without the network."""
    assert html.startswith("<!DOCTYPE html>")
    reader = Reader(html)
    assert reader.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in reader.all("meta")
    assert any(meta.get("name") == "viewport" for meta in reader.all("meta"))
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in reader.tags}
    assert not [name for _, attributes in reader.tags for name in attributes if name.startswith("on")]
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert {link["href"].removeprefix("#") for link in reader.all("a")} <= set(ids)
    for image in reader.all("img"):
        assert image["src"].startswith("data:image/png;base64,")
        assert image["alt"]
    for drawing in reader.all("svg"):
        assert drawing.get("aria-hidden") == "true" or drawing["role"] == "img"
        assert set(drawing.get("aria-labelledby", "").split()) <= set(ids)
        assert drawing.get("aria-hidden") == "true" or drawing["aria-labelledby"]
    labelled = [label["for"] for label in reader.all("label")]
    assert labelled == [button["id"] for button in reader.all("input")]
    chosen = [button["name"] for button in reader.all("input") if "checked" in button]
    assert sorted(chosen) == sorted({button["name"] for button in reader.all("input")})  # one of each
    assert len(reader.all("fieldset")) == len(reader.all("legend")) == len(chosen)
    for cell in reader.all("th"):
        assert cell["scope"] in ("row", "col")
    assert len(reader.all("caption")) == len(reader.all("table"))
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert "url(" not in style and "@import" not in style
    return reader


def decoded(image: dict[str, str]) -> np.ndarray:
    """Pixels of an ``img``: uint8 [H, W] or [H, W, 3]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))))
