//! A guide as text: which of its blocks a reader types, and what they print.
//!
//! - ```` ```sh ```` is typed. A command that is to fail says so behind it: `# exit code 1`.
//! - ```` ```text ```` is the output of the ```` ```sh ```` block before it. `...` stands for what
//!   varies in a line, and alone in a line for any number of lines. A blank stands for several.
//! - ```` ```sh not typed: REASON ```` is for a reader only, since a test cannot do it.
//! - Blocks of other languages that are listed here are contents of files.
//!
//! Any other block is a mistake, so that none is left out silently.

/// Languages of blocks that are contents of files.
const FILES: [&str; 5] = ["ini", "json", "promql", "toml", "yaml"];

/// What a reader types, and what it prints, if the guide says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Where its first line is in the guide, from 1 on.
    pub(super) line: usize,
    pub(super) code: String,
    pub(super) want: Option<String>,
}

/// The blocks of a guide that are typed, in order.
///
/// # Errors
/// The line, and what is wrong with the block there.
pub(super) fn parse(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    // Whether the block before may be followed by its output, and whether that is compared.
    let mut awaits_output = None;
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let mut code = String::new();
        let is_closed = lines.by_ref().any(|(_, line)| {
            let is_end = line.trim() == "```";
            if !is_end {
                code.push_str(line.get(indent.min(line.len())..).unwrap_or(line));
                code.push('\n');
            }
            is_end
        });
        let wrong = |what: &str| Err(format!("line {}: {what}", at + 1));
        match language.trim() {
            _ if !is_closed => return wrong("the block does not end"),
            "sh" => {
                blocks.push(Block { line: at + 2, code, want: None });
                awaits_output = Some(true);
            }
            "text" => match (awaits_output.take(), blocks.last_mut()) {
                (Some(true), Some(block)) => block.want = Some(code),
                (Some(false), _) => {}
                _ => {
                    return wrong(
                        "a text block is the output of a sh block, and none is before it",
                    );
                }
            },
            language if FILES.contains(&language) => {}
            language => match language.strip_prefix("sh not typed:").map(str::trim) {
                Some("") => return wrong("why is it not typed?"),
                Some(_) => awaits_output = Some(false),
                None => return wrong("a block is sh, text, or `sh not typed: REASON`"),
            },
        }
    }
    if blocks.is_empty() { Err("nothing in it is typed".to_owned()) } else { Ok(blocks) }
}

/// The exit codes that commands are said to end with, by the line of their block, from 1 on. A
/// command that goes on in the next line is known by its first one.
pub(super) fn expected_failures(code: &str) -> Vec<(usize, i32)> {
    let mut failures = Vec::new();
    let mut first = 1;
    let mut goes_on = false;
    for (at, line) in code.lines().enumerate() {
        if !goes_on {
            first = at + 1;
        }
        goes_on = line.ends_with('\\');
        let said = line.rsplit_once("# exit code ").and_then(|(_, code)| code.trim().parse().ok());
        failures.extend(said.map(|code| (first, code)));
    }
    failures
}

/// Whether an output is what the guide shows.
pub(super) fn matches(want: &str, got: &str) -> bool {
    let (want, got) = (with_single_blanks(want), with_single_blanks(got));
    lines_match(&want, &got)
}

/// Columns are as wide as what is in them, so that one blank is as good as several.
fn with_single_blanks(text: &str) -> Vec<String> {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.trim_end().lines().map(line).collect()
}

fn lines_match(want: &[String], got: &[String]) -> bool {
    match want.split_first() {
        None => got.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=got.len()).any(|skipped| lines_match(rest, &got[skipped..]))
        }
        Some((first, rest)) => got
            .split_first()
            .is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others)),
    }
}

fn line_matches(want: &str, got: &str) -> bool {
    match want.split_once("...") {
        None => want == got,
        Some((start, rest)) => got.strip_prefix(start).is_some_and(|got| {
            let ends = got.char_indices().map(|(at, _)| at).chain([got.len()]);
            ends.into_iter().any(|at| line_matches(rest, &got[at..]))
        }),
    }
}

#[test]
fn blocks_are_typed_with_their_output_and_nothing_is_left_out_silently() {
    let guide = "# A\n```sh\na\n```\ntext\n```text\nb ...\n```\n- x:\n  ```sh\n  c\n    d\n  ```\n\
                 ```sh not typed: needs systemd\ne\n```\n```text\nf\n```\n```json\n{}\n```\n";
    let block = |line, code: &str, want: Option<&str>| Block {
        line,
        code: code.to_owned(),
        want: want.map(str::to_owned),
    };
    let want = [block(3, "a\n", Some("b ...\n")), block(11, "c\n  d\n", None)];
    assert_eq!(parse(guide).as_deref(), Ok(&want[..]));
    for (wrong, why) in [
        ("", "nothing"),
        ("```sh\na\n", "line 1: the block does not end"),
        ("```\na\n```\n", "line 1: a block is sh"),
        ("x\n```console\n$ a\n```\n", "line 2: a block is sh"),
        ("```bash\na\n```\n", "a block is sh"),
        ("```sh not typed:\na\n```\n", "why is it not typed?"),
        ("```sh not typed: x\na\n```\n", "nothing"),
        ("```text\na\n```\n", "none is before it"),
        ("```sh\na\n```\n```text\na\n```\n```text\na\n```\n", "line 7: a text block"),
    ] {
        let error = parse(wrong).expect_err(wrong);
        assert!(error.contains(why), "{wrong:?}: {error}");
    }
}

#[test]
fn outputs_are_compared_but_for_what_varies() {
    for (want, got) in [
        ("a\n", "a"),
        ("", ""),
        ("a ... c\n", "a b b c\n"),
        ("...\nz\n", "x\ny\nz\n"),
        ("a\n...\n", "a\n"),
        ("a\n...\nz\n", "a\nz\n"),
        ("id ..., term ...", "id 7, term 3"),
        ("  m1  ...  7", "  m1      12345    7"),
    ] {
        assert!(matches(want, got), "{want:?} {got:?}");
    }
    for (want, got) in [("a", "b"), ("a", "a\nb"), ("a\nb", "a"), ("a...b", "a b c"), ("", "a")] {
        assert!(!matches(want, got), "{want:?} {got:?}");
    }
    let code = "a\nb \\\n  c   # exit code 2\nd # exit code 1\ne # exit codes vary\n";
    assert_eq!(expected_failures(code), [(2, 2), (4, 1)]);
}
