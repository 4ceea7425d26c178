//! The packages of a release: `cargo xtask dist`.
//!
//! From one commit come a tarball, its debug information, a Debian package, an image for
//! containers, a bill of materials and checksums. All of them are made here, of the files of the
//! project and the program, with the time of the commit: two runs give the same bytes.

// Printing is what this program is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod archive;
mod binary;
mod debian;
mod image;
mod sbom;
mod source;
mod sums;
mod tarball;

use binary::Binary;
use source::Source;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask dist [--out DIR] [--dirty] [--program FILE]

  --out DIR       where the packages are put (target/dist)
  --dirty         pack files that differ from the commit
  --program FILE  pack this program instead of building one: to test packages
";

struct Args {
    out: PathBuf,
    is_dirty: bool,
    program: Option<PathBuf>,
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Args> {
    let mut args = Args { out: PathBuf::from("target/dist"), is_dirty: false, program: None };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--out" => args.out = PathBuf::from(words.next()?),
            "--dirty" => args.is_dirty = true,
            "--program" => args.program = Some(PathBuf::from(words.next()?)),
            _ => return None,
        }
    }
    Some(args)
}

fn main() -> ExitCode {
    let Some(args) = parse(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("dist: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let source = Source::of(&root, args.is_dirty)?;
    let binary = match &args.program {
        Some(path) => Binary::read(path, None)?,
        None => binary::build(&source, &root.join("target/dist-build"))?,
    };
    let files = packages(&source, &binary)?;
    std::fs::create_dir_all(&args.out).map_err(|error| error.to_string())?;
    for (name, content) in &files {
        let path = args.out.join(name);
        std::fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{:>12}  {}", content.len(), path.display());
    }
    Ok(())
}

/// All packages by their names, and their checksums.
fn packages(source: &Source, binary: &Binary) -> Result<Vec<(String, Vec<u8>)>, String> {
    let (label, program) = (source.label(), binary.program.as_slice());
    let mut files = vec![
        (format!("{label}.tar.gz"), tarball::program(source, binary)?),
        (debian::name(source)?, debian::package(source, binary)?),
        (format!("{label}-image.tar"), image::image(source, program)?),
        (format!("{label}.spdx.json"), sbom::document(source, program)?.into_bytes()),
    ];
    if let Some(debug) = &binary.debug {
        files.push((format!("{label}-debug.tar.gz"), tarball::debug(source, debug)?));
    }
    let sums = sums::list(&files);
    files.push(("SHA256SUMS".to_owned(), sums.into_bytes()));
    Ok(files)
}
