"""The page as text: well formed, whole by itself, and with its script allowed and no other."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from w2s_rm.render.elements import (
    Bullets,
    Code,
    Examples,
    Figure,
    Heading,
    Hover,
    PageBlock,
    Paragraph,
    Table,
)
from w2s_rm.render.markdown import markdown
from w2s_rm.render.page import Drawing, page

VOID = {"meta", "input", "br", "img", "link"}
EVIL = "</script><script>pwned=1</script><!--\"'><img src=x onerror=pwned=1>"


class Outline(HTMLParser):
    """Checks that elements are closed in order, and keeps them with their attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]

    def within(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


DRAWINGS = {"plot": Drawing('<?xml version="1.0"?><!DOCTYPE svg><svg><path d="M0 0"/></svg>', b"a,b\n1,2\n")}
CONTENT: list[PageBlock] = [
    Heading("Report", 1),
    Paragraph(("right on ", Hover("77.5", "95 % interval: 75.6 to 79.3"), " %")),
    Figure("what it shows", "plot"),
    Heading("Warnings", 2),
    Bullets(("careful",), warning=True),
    Heading("Results", 2),
    Table(("run", "PGR"), (("reward_modeling", Hover("0.5", "more")), ("b", "–"))),
    Heading("Results", 2),
    Code("name: x\n"),
    Examples(({"name": "a_b"},)),
]


def test_a_page_is_well_formed_and_ids_are_unique() -> None:
    outline = Outline(page(CONTENT, DRAWINGS))
    ids = [attributes["id"] for _, attributes in outline.found if "id" in attributes]
    assert sorted(ids) == sorted(
        {*("section-report", "section-warnings", "section-results", "section-results-2", "examples", "data")}
    )
    assert len(outline.all("html")) == len(outline.all("main")) == len(outline.all("h1")) == 1
    assert outline.all("html") == [{"lang": "en"}]


def test_what_comes_after_the_figure_is_folded_and_warnings_are_not() -> None:
    outline = Outline(page(CONTENT, DRAWINGS))
    assert [("open" in one, one["id"]) for one in outline.all("details")] == [
        *((True, "section-warnings"), (False, "section-results"), (False, "section-results-2"))
    ]
    assert len(outline.all("section")) == 1 and len(outline.all("summary")) == 3


def test_a_number_says_its_interval_on_hover_and_by_keyboard() -> None:
    outline = Outline(page(CONTENT, DRAWINGS))
    assert outline.all("abbr")[0] == {"tabindex": "0", "title": "95 % interval: 75.6 to 79.3"}
    assert outline.within("abbr") == ["77.5", "0.5"]
    # Markdown has the number alone.
    assert "right on 77.5 %" in markdown([Paragraph(("right on ", Hover("77.5", "more"), " %"))])
    assert markdown([Table(("a",), ((Hover("0.5", "more"),),))]) == "| a |\n| :-- |\n| 0.5 |\n"


def test_names_are_names() -> None:
    assert "reward_modeling" in Outline(page(CONTENT, DRAWINGS)).within("td")


def test_a_figure_has_its_numbers() -> None:
    outline = Outline(page(CONTENT, DRAWINGS))
    (link,) = outline.all("a")
    assert link["download"] == "plot.csv"
    start, _, data = str(link["href"]).partition(",")
    assert start == "data:text/csv;charset=utf-8;base64" and base64.b64decode(data) == b"a,b\n1,2\n"


def test_the_policy_allows_the_pages_own_script_alone() -> None:
    text = page(CONTENT, DRAWINGS)
    (policy,) = [one["content"] for one in Outline(text).all("meta") if "http-equiv" in one]
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )


@pytest.mark.parametrize(
    "block",
    [
        Heading(EVIL, 2),
        Paragraph(EVIL),
        Paragraph((EVIL, Hover(EVIL, EVIL))),
        Bullets((EVIL,)),
        Bullets((EVIL,), warning=True),
        Table((EVIL,), ((EVIL,), (Hover(EVIL, EVIL),))),
        Figure(EVIL, "plot"),
        Code(EVIL),
        Examples(({EVIL: EVIL},)),
    ],
)
def test_no_text_becomes_markup(block: PageBlock) -> None:
    plain = Outline(page([Heading("Report", 1)], DRAWINGS))
    outline = Outline(page([Heading("Report", 1), block], DRAWINGS))
    assert len(outline.all("script")) - len(plain.all("script")) == isinstance(block, Examples)
    assert not outline.all("img") and "onerror" not in {name for _, attributes in outline.found for name in attributes}


def test_data_come_back_as_they_were() -> None:
    outline = Outline(page([Heading("Report", 1), Examples(({"name": EVIL},))], {}))
    (data,) = [text for text in outline.within("script") if text.startswith("[")]
    assert json.loads(data) == [{"name": EVIL}]
