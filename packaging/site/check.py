"""Checks of the built site that its generator does not make.

usage: check.py FOLDER CHROMIUM
"""

import functools
import html.parser
import http.server
import json
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse

# What is looked for, and a page that has to be among the first found.
SEARCHES = {
    "fencing": "docs/locks.html",
    "110": "docs/reference/errors.html#code-110",
    "prevExist": "docs/reference/keys.html",
    "ETCD_SNAPSHOT_COUNT": "docs/configuration.html",
    "etcdctl": "docs/clients.html",
}
# How many of the first results count as found.
FIRST = 10
SEARCH_SECONDS_MAX = 60

# Attributes by which a page makes the browser fetch something by itself.
LOADS = {
    ("link", "href"), ("script", "src"), ("img", "src"), ("img", "srcset"), ("iframe", "src"),
    ("source", "src"), ("source", "srcset"), ("video", "src"), ("audio", "src"), ("object", "data"),
    ("embed", "src"), ("input", "src"), ("use", "href"), ("image", "href"),
}
# The same in style sheets and scripts: an address of a host in what is fetched.
CSS_LOADS = re.compile(r"(?:url\(\s*|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)")
JS_LOADS = re.compile(
    r"(?:fetch|import|importScripts|Worker|open|load)\(\s*[^)]{0,40}['\"]((?:https?:)?//[^'\"]+)"
)


class Page(html.parser.HTMLParser):
    """The links, anchors and loads of a page, and the text of its scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.anchors, self.inline = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inline.append([tag, ""])
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            if name == "style":
                self.loads += CSS_LOADS.findall(value or "")
            if (tag, name) in LOADS:
                self.loads.append(value or "")
            elif name == "href":
                self.links.append(value or "")

    def handle_data(self, data):
        if self.inline and self.inline[-1][0] in ("script", "style"):
            self.inline[-1][1] += data


def is_external(address):
    return bool(urllib.parse.urlsplit(address).netloc)


def check_loads(path, page):
    """What a page, a style sheet or a script fetches from another host."""
    text = path.read_text(errors="replace") if page is None else ""
    addresses = CSS_LOADS.findall(text) if path.suffix == ".css" else JS_LOADS.findall(text)
    if page:
        inline = "".join(text for _, text in page.inline)
        addresses = page.loads + CSS_LOADS.findall(inline) + JS_LOADS.findall(inline)
    return [f"loads {address}" for address in addresses if is_external(address)]


def check_links(root, path, pages):
    """Links of a page that lead nowhere in the site."""
    for link in pages[path].links + pages[path].loads:
        parts = urllib.parse.urlsplit(link)
        # The page that is shown when there is none has links from the root on.
        if parts.scheme or parts.netloc or (path.name == "404.html" and link.startswith("/")):
            continue
        target = path
        if parts.path:
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
        if target.is_dir():
            target /= "index.html"
        if not target.is_file() or root not in target.parents:
            yield f"there is no {link}"
        elif target in pages and parts.fragment and parts.fragment not in pages[target].anchors:
            yield f"no such anchor: {link}"


# Looks for words on the site's own page, in a frame, and hands in the addresses that are shown.
PROBE = """<!DOCTYPE html><title>search</title><link rel="icon" href="data:,"><script>
const searches = SEARCHES;
const shown = (frame) => frame.contentDocument.querySelectorAll(
  "#properdocs-search-results h3 a");
async function find(words) {
  const frame = document.createElement("iframe");
  frame.src = "/index.html?q=" + encodeURIComponent(words);
  document.body.append(frame);
  await new Promise((done) => { frame.onload = done; });
  while (shown(frame).length === 0) { await new Promise((done) => setTimeout(done, 50)); }
  const found = Array.from(shown(frame), (link) => link.href);
  frame.remove();
  return found;
}
window.onload = async () => {
  for (const words of searches) {
    await fetch("/found", {method: "POST", body: JSON.stringify([words, await find(words)])});
  }
};
</script><body></body>"""


class Site(http.server.SimpleHTTPRequestHandler):
    """Serves the site and the probe; keeps what the probe found, and what was not there."""

    found, missing = queue.Queue(), []

    def log_message(self, *_args):
        pass

    def send_error(self, code, *args, **others):
        self.missing.append(f"{code}: {self.path}")
        super().send_error(code, *args, **others)

    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        if self.path == "/probe":
            self.answer(PROBE.replace("SEARCHES", json.dumps(list(SEARCHES))))
        else:
            super().do_GET()

    def do_POST(self):
        self.found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer("")


def check_search(root, chromium):
    """Whether words are found, by the search of the site itself, in a browser without a network."""
    serve = functools.partial(Site, directory=root)
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            "--remote-debugging-port=0", f"http://127.0.0.1:{server.server_port}/probe",
        ]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in SEARCHES:
                words, found = Site.found.get(timeout=SEARCH_SECONDS_MAX)
                if not any(SEARCHES[words] in address for address in found[:FIRST]):
                    yield f"search: {words} does not find {SEARCHES[words]}, but {found[:FIRST]}"
        except queue.Empty:
            yield f"search: nothing was found within {SEARCH_SECONDS_MAX} s"
        finally:
            browser.terminate()
            browser.wait(SEARCH_SECONDS_MAX)
            server.shutdown()
    yield from (f"search: {missing}" for missing in Site.missing)


def main(folder, chromium):
    root = pathlib.Path(folder).resolve()
    pages = {path: Page(path.read_text()) for path in root.rglob("*.html")}
    problems, files = [], list(pages)
    files += [path for path in root.rglob("*") if path.suffix in (".css", ".js", ".svg")]
    for path in files:
        found = check_loads(path, pages.get(path))
        found += check_links(root, path, pages) if path in pages else []
        problems += [f"{path.relative_to(root)}: {problem}" for problem in found]
    problems += check_search(root, chromium)
    for problem in problems:
        print(f"site: {problem}", file=sys.stderr)
    print(f"site: {len(pages)} pages, {len(SEARCHES)} searches, {len(problems)} problems")
    return 1 if problems or not pages else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
