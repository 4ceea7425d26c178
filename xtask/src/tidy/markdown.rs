//! What the documentation points at is there, and its lines can be read anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Columns of a line of prose at most. Tables and code are as wide as they must be.
const COLUMNS_MAX: usize = 140;

/// Folders in which documentation is looked for, each by itself.
const FOLDERS: [&str; 7] =
    [".", "bench", "dashboard", "docs", "docs/reference", "fuzz", "packaging"];

/// One page, read.
#[derive(Debug, Default)]
struct Page {
    anchors: BTreeSet<String>,
    /// Line and target of each link.
    links: Vec<(usize, String)>,
    /// Lines of prose that are too long.
    wide: Vec<usize>,
}

/// Checks every page, and the pages that sources name.
pub(crate) fn check(problems: &mut Vec<String>) {
    let mut pages = BTreeMap::new();
    for folder in FOLDERS {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "md")
                && let Ok(text) = fs::read_to_string(&path)
            {
                pages.insert(plain(&path), read(&text));
            }
        }
    }
    check_pages(&pages, &|path| path.exists(), problems);
    for file in super::text::files(&["rs", "js", "jsx", "mjs", "py"]) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        // What tests name may be made up.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for name in named(text) {
            if !Path::new(name).exists() {
                problems.push(format!("{}: {name} does not exist", file.display()));
            }
        }
    }
}

fn check_pages(
    pages: &BTreeMap<PathBuf, Page>,
    exists: &dyn Fn(&Path) -> bool,
    problems: &mut Vec<String>,
) {
    for (path, page) in pages {
        let name = path.display();
        for at in &page.wide {
            problems.push(format!("{name}:{at}: longer than {COLUMNS_MAX} columns"));
        }
        for (at, link) in &page.links {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = path.parent().unwrap_or(Path::new(""));
            let target = if file.is_empty() { path.clone() } else { plain(&folder.join(file)) };
            if !file.is_empty() && !exists(&target) {
                problems.push(format!("{name}:{at}: {link}: broken link"));
            } else if !anchor.is_empty()
                && pages.get(&target).is_some_and(|page| !page.anchors.contains(anchor))
            {
                problems.push(format!("{name}:{at}: {link}: no such heading"));
            }
        }
    }
}

/// A path without steps that change nothing.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir if plain.file_name().is_some() => drop(plain.pop()),
            std::path::Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Reads a page.
fn read(text: &str) -> Page {
    let mut page = Page::default();
    let mut fence = None;
    let mut prose = String::with_capacity(text.len());
    for (at, line) in text.lines().enumerate() {
        let inner = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| inner.starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) if !line.starts_with("    ") || !is_code(text, at) => {
                add_line(&mut page, at + 1, line);
                prose.push_str(line);
            }
            _ => {}
        }
        prose.push('\n');
    }
    add_links(&mut page, &without_code(&prose));
    page
}

/// Whether an indented line is code: an empty line or more of it is above it.
fn is_code(text: &str, at: usize) -> bool {
    let before = text.lines().take(at).collect::<Vec<_>>();
    let start = before.iter().rev().find(|line| !line.starts_with("    "));
    start.is_none_or(|line| line.trim().is_empty())
}

fn add_line(page: &mut Page, at: usize, line: &str) {
    let is_table = line.trim_start().starts_with('|');
    if !is_table && line.chars().count() > COLUMNS_MAX {
        page.wide.push(at);
    }
    let title = line.trim_start_matches('#');
    if title.len() < line.len() && title.starts_with(' ') {
        let anchor = anchor(title);
        let mut own = anchor.clone();
        let mut count = 0;
        while page.anchors.contains(&own) {
            count += 1;
            own = format!("{anchor}-{count}");
        }
        page.anchors.insert(own);
    }
    for mark in ["id=\"", "name=\""] {
        for behind in line.split(mark).skip(1) {
            page.anchors.extend(behind.split('"').next().map(str::to_owned));
        }
    }
}

/// The name that a heading has in a link.
fn anchor(title: &str) -> String {
    let mut anchor = String::new();
    for letter in title.trim().chars().flat_map(char::to_lowercase) {
        match letter {
            ' ' => anchor.push('-'),
            '-' | '_' => anchor.push(letter),
            letter if letter.is_alphanumeric() => anchor.push(letter),
            _ => {}
        }
    }
    anchor
}

/// Takes code within lines out, and keeps the ends of lines.
fn without_code(prose: &str) -> String {
    let mut kept = String::with_capacity(prose.len());
    let mut rest = prose;
    while let Some((before, behind)) = rest.split_once('`') {
        kept.push_str(before);
        let ticks = behind.bytes().take_while(|byte| *byte == b'`').count();
        let behind = &behind[ticks..];
        let close = "`".repeat(ticks + 1);
        // Code ends within its paragraph.
        let limit = behind.find("\n\n").unwrap_or(behind.len());
        match behind[..limit].find(&close) {
            Some(end) => {
                kept.extend(behind[..end].matches('\n'));
                rest = &behind[end + close.len()..];
            }
            None => rest = behind,
        }
    }
    kept.push_str(rest);
    kept
}

fn add_links(page: &mut Page, prose: &str) {
    let mut add = |offset: usize, target: &str| {
        let target = target.split_whitespace().next().unwrap_or_default();
        let target = target.trim_start_matches('<').trim_end_matches('>');
        let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
        if !target.is_empty() && !is_elsewhere {
            let line = prose[..offset].matches('\n').count() + 1;
            page.links.push((line, target.to_owned()));
        }
    };
    for (offset, _) in prose.match_indices("](") {
        let behind = &prose[offset + 2..];
        add(offset, behind.split(')').next().unwrap_or_default());
    }
    let mut offset = 0;
    for line in prose.split_inclusive('\n') {
        // [name]: target
        let inner = line.trim_start().strip_prefix('[');
        if let Some((name, target)) = inner.and_then(|inner| inner.split_once("]:"))
            && !name.contains(']')
        {
            add(offset, target);
        }
        for behind in ["src=\"", "href=\""].iter().flat_map(|mark| line.split(mark).skip(1)) {
            add(offset, behind.split('"').next().unwrap_or_default());
        }
        offset += line.len();
    }
}

/// The pages that a source names, from the root of the project on: `docs/` and a name, or a name
/// in capital letters.
fn named(text: &str) -> Vec<&str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let ends = text.match_indices(".md").map(|(at, mark)| at + mark.len());
    let names = ends.map(|end| {
        let start = text[..end].rfind(|letter| !is_part(letter)).map_or(0, |at| at + 1);
        &text[start..end]
    });
    let is_page = |name: &&str| {
        let stem = name.trim_end_matches(".md");
        let is_capital = |letter: char| letter.is_ascii_uppercase() || letter == '_';
        name.starts_with("docs/") || !stem.is_empty() && stem.chars().all(is_capital)
    };
    names.filter(is_page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(pages: &[(&str, &str)]) -> Vec<String> {
        let pages: BTreeMap<PathBuf, Page> =
            pages.iter().map(|(path, text)| (PathBuf::from(path), read(text))).collect();
        let mut problems = Vec::new();
        let exists = |path: &Path| pages.contains_key(path) || path == Path::new("docs/x.png");
        check_pages(&pages, &exists, &mut problems);
        problems
    }

    #[test]
    fn links_lead_to_files_and_headings() {
        let other = ("docs/b.md", "# A `b`, c\n\n## Twice\n## Twice\n\n<a id=\"here\"></a>");
        for (link, is_good) in [
            ("[b](docs/b.md)", true),
            ("[b](docs/b.md#a-b-c)", true),
            ("[b](docs/b.md#twice-1) [c](docs/b.md#here)", true),
            ("![b](docs/x.png \"title\")", true),
            ("[b](https://example.org/x) [c](#own)", true),
            ("`[b](gone.md)`", true),
            ("```\n[b](gone.md)\n```", true),
            ("text\n\n    [b](gone.md)\n", true),
            ("[b](docs/c.md)", false),
            ("[b](b.md)", false),
            ("[a\nb](docs/b.md#none)", false),
            ("[c](#none)", false),
            ("- x\n    [b](gone.md)", false),
            ("[b]\n\n[b]: gone.md", false),
            ("<img src=\"gone.png\">", false),
        ] {
            let text = format!("# Own\n\n{link}\n");
            assert_eq!(problems(&[other, ("a.md", &text)]).is_empty(), is_good, "{link}");
        }
        assert!(problems(&[("docs/a.md", "[b](../b.md)"), ("b.md", "")]).is_empty());
        let found = problems(&[("a.md", "x\n`y\nz` [b](gone.md)")]);
        assert_eq!(found, ["a.md:3: gone.md: broken link"]);
    }

    #[test]
    fn prose_has_a_width_and_tables_and_code_have_none() {
        let wide = "x ".repeat(COLUMNS_MAX);
        assert_eq!(problems(&[("a.md", &format!("a\n\n{wide}"))]).len(), 1);
        assert!(problems(&[("a.md", &format!("| {wide} |\n\n```\n{wide}\n```\n"))]).is_empty());
        assert!(problems(&[("a.md", &format!("a\n\n    {wide}"))]).is_empty());
    }

    #[test]
    fn pages_that_sources_name() {
        let text = "//! see docs/a.md and COMPAT.md, (docs/spec/b.md). x.md, keys.md";
        assert_eq!(named(text), ["docs/a.md", "COMPAT.md", "docs/spec/b.md"]);
    }
}
