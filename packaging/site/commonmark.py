"""Renders the pages as a forge does, CommonMark with tables, and makes each error code searchable.

Python-Markdown, which the generator uses, reads lists, code blocks within them and what stands
behind the language of a block in another way. Its block parser is replaced; what the generator does
to the tree of a page (anchors, the table of contents, links) stays.
"""

import html
import json
import pathlib
import re
import xml.etree.ElementTree as etree

from markdown.extensions import Extension
from markdown.util import Registry
from markdown_it import MarkdownIt
from properdocs.plugins import event_priority

# Steps of Python-Markdown on the tree of a page that are about its text, which is done by then.
TEXT_STEPS = ["inline", "prettify", "unescape"]


def slug(title, _separator):
    """The anchor of a title, as forges make it."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def frame(table):
    """A wide table scrolls within a frame, so that the page does not; names in it do not break."""
    for code in table.iter("code"):
        if " " not in (code.text or " "):
            code.set("class", "word")
    if table.findtext("thead/tr/th") == "code":
        for row in table.iter("tr"):
            code = row.findtext("td")
            if code:
                row.set("id", f"code-{code}")
    inner = etree.Element("table", {"class": "table table-sm table-striped"})
    inner.extend(list(table))
    tail = table.tail
    table.clear()
    table.tag, table.tail = "div", tail
    table.set("class", "wide")
    table.append(inner)


class BlockParser:
    """In the place of Python-Markdown's: lines to a tree of HTML."""

    def __init__(self):
        self.parser = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True}).enable("table")

    def parseDocument(self, lines):
        """The name is Python-Markdown's."""
        text = self.parser.render("\n".join(lines))
        root = etree.fromstring(f"<div>{text}</div>")
        for table in list(root.iter("table")):
            frame(table)
        return etree.ElementTree(root)


class CommonMark(Extension):
    def extendMarkdown(self, md):
        """The name is Python-Markdown's."""
        md.parser = BlockParser()
        for step in TEXT_STEPS:
            md.treeprocessors.deregister(step)
        # They put parts of the text aside for the parser that is replaced.
        md.preprocessors = Registry()


def on_config(config):
    """Called by the generator."""
    config.mdx_configs["toc"]["slugify"] = slug
    config.markdown_extensions.append(CommonMark())
    return config


@event_priority(-100)
def on_post_build(config):
    """Called by the generator: the search gets an entry for each code, as it has for each title.

    All codes are in one section of one page, which a search for one of them would find late.
    """
    index = pathlib.Path(config.site_dir, "search/search_index.json")
    found = json.loads(index.read_text())
    page = "docs/reference/errors.html"
    text = pathlib.Path(config.site_dir, page).read_text()
    for code, row in re.findall(r'<tr id="code-(\d+)">(.*?)</tr>', text, re.DOTALL):
        cells = re.findall(r"<td>(.*?)</td>", row, re.DOTALL)
        cells = [html.unescape(re.sub("<.*?>", "", cell)) for cell in cells]
        title = f"Error {code}: {cells[2]}"
        entry = {"location": f"{page}#code-{code}", "title": title, "text": " ".join(cells)}
        found["docs"].append(entry)
    index.write_text(json.dumps(found))
