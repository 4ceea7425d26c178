"""Draws the pictures of docs/performance.md from the figures that are recorded in it.

usage: figures.py [--check]

With --check nothing is written: it fails if a picture is not what would be drawn.
"""

import html
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "performance.md"
IMAGES = ROOT / "docs" / "images"

ALONE = "## One machine beside etcd"
THREE = "## Three machines beside etcd"

# Each picture: what it shows, what is better, and its rows. A row names the section, the workload
# and what is measured of it, as the tables of the page do.
RATE = "rate"
PROCESSOR = "processor"
PICTURES = {
    "throughput": (
        "Requests and events a second",
        "longer is better; 64 connections where nothing else is said",
        [
            ("PUT", ALONE, "put64", RATE),
            ("PUT, one connection", ALONE, "put1", RATE),
            ("GET", ALONE, "get64", RATE),
            ("GET, one connection", ALONE, "get1", RATE),
            ("linearizable GET", ALONE, "qget64", RATE),
            ("compare-and-swap of one key, 8 connections", ALONE, "cas8", RATE),
            ("events to 1,000 watchers", ALONE, "watch1000", RATE),
            ("events to 1,000 streams", ALONE, "stream1000", RATE),
            ("list of 10,000 keys, 2 connections", ALONE, "list10k", RATE),
            ("three machines: PUT", THREE, "put64", RATE),
            ("three machines: linearizable GET", THREE, "qget64", RATE),
        ],
    ),
    "processor": (
        "Processor time for one operation",
        "shorter is better; all members together",
        [
            ("PUT", ALONE, "put64", PROCESSOR),
            ("GET", ALONE, "get64", PROCESSOR),
            ("linearizable GET", ALONE, "qget64", PROCESSOR),
            ("event to one of 1,000 watchers", ALONE, "watch1000", PROCESSOR),
            ("list of 10,000 keys", ALONE, "list10k", PROCESSOR),
            ("three machines: PUT", THREE, "put64", PROCESSOR),
            ("three machines: linearizable GET", THREE, "qget64", PROCESSOR),
        ],
    ),
    "latency": (
        "How long one waits",
        "shorter is better",
        [
            ("write at 2,000 requests a second, p99", ALONE, "open2000", "writes.p99_us"),
            ("from a write to its watcher, median", ALONE, "watch1", "delivery.p50_us"),
            ("leader killed: longest without a write", "## Fail-over", r"writers[^:]*: ", "ms"),
            ("start with 1,000,000 keys", "## Restart", r"answered\. ", "s"),
        ],
    ),
}

WIDTH, LABEL, BAR = 860, 290, 380
HEAD, ROW, THICK = 66, 46, 15

STYLE = """
.page { fill: #ffffff; stroke: #d0d7de } text { font: 13px sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 } .quiet { fill: #59636e } .ours { fill: #0f766e }
.theirs { fill: #9aa4ae }
@media (prefers-color-scheme: dark) {
.page { fill: #161b22; stroke: #3d444d } text { fill: #e6edf3 } .quiet { fill: #9198a1 }
.ours { fill: #2dbfa9 } .theirs { fill: #6e7681 }
}
"""


class Missing(Exception):
    """A figure is not in the page."""


def section(text, title):
    """The part of the page under a title."""
    found = re.search(rf"^{re.escape(title)}.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise Missing(f"there is no section {title!r}")
    # Of two tables, as of requests to the leader and to a follower, the first one counts.
    return found[0]


def figures(text, title, workload, measure):
    """Two numbers, ours and etcd's, their unit, and our multiple of etcd's.

    Where the page has the median of the rounds' ratios that is the multiple, not one of medians.
    """
    part, number = section(text, title), r"([\d.]+)"
    if measure in ("ms", "s"):
        # In a sentence: ours first.
        pattern = rf"{workload}{number} {measure}\b.*?etcd {number} {measure}\b"
    elif measure == PROCESSOR:
        part = part.partition("processor time of all members")[2]
        pattern = rf"^{workload} +{number} +{number}"
    else:
        row = rf"^{workload} +{re.escape(measure)} +{number} +{number}"
        pattern = rf"{row}(?: +[\d.]+)? +{number}x (?:more|less)"
    found = re.search(pattern, part, re.MULTILINE | re.DOTALL)
    if not found:
        raise Missing(f"{title}: no {measure} of {workload}")
    unit = {RATE: "/s", "ms": " ms", "s": " s"}.get(measure, " us")
    ours, theirs, *ratio = map(float, found.groups())
    return ours, theirs, unit, ratio[0] if ratio else ours / theirs


def shown(value, unit):
    """A number as it is read, of three digits unless it is a count."""
    if unit == " us" and value >= 1000:
        value, unit = value / 1000, " ms"
    number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return number + unit


def bar(y, name, value, share, text):
    """One bar with its words behind it."""
    length = max(2, round(BAR * share))
    kind = "ours" if name == "Stead" else "theirs"
    return (
        f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{length}" height="{THICK}" rx="2"/>\n'
        f'<text x="{LABEL + length + 8}" y="{y + 12}">{name} {value}{text}</text>\n'
    )


def draw(name, text):
    """A picture as SVG, with what it says in words for those who do not see it."""
    title, better, rows = PICTURES[name]
    found = [(row[0], *figures(text, *row[1:])) for row in rows]
    longest = max(1, *(times for *_, times in found))
    height = HEAD + ROW * len(found) + 8
    words, body = [], ""
    for at, (label, ours, theirs, unit, times) in enumerate(found):
        y = HEAD + ROW * at
        at_end = f'x="{LABEL - 12}" y="{y + 20}" text-anchor="end"'
        body += f"<text {at_end}>{html.escape(label)}</text>\n"
        body += bar(y, "Stead", shown(ours, unit), times / longest, f" ({times:.2f} times)")
        body += bar(y + THICK + 2, "etcd", shown(theirs, unit), 1 / longest, "")
        words.append(f"{label}: Stead {shown(ours, unit)}, etcd {shown(theirs, unit)}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-labelledby="title words">\n<title id="title">{title}</title>\n'
        f'<desc id="words">{html.escape("; ".join(words))}.</desc>\n<style>{STYLE}</style>\n'
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>\n'
        f'<text class="title" x="20" y="30">{title}</text>\n'
        f'<text class="quiet" x="20" y="50">{better}</text>\n{body}</svg>\n'
    )


def main(args):
    is_check = args == ["--check"]
    text, wrong = PAGE.read_text(), 0
    for name in PICTURES:
        path = IMAGES / f"performance-{name}.svg"
        drawn = draw(name, text)
        if is_check and (not path.is_file() or path.read_text() != drawn):
            print(f"{path.relative_to(ROOT)} is not as it would be drawn", file=sys.stderr)
            wrong += 1
        elif not is_check:
            path.write_text(drawn)
    if wrong:
        print("draw it: packaging/site/figures.py", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Missing as missing:
        sys.exit(f"figures: docs/performance.md: {missing}")
