//! Compresses the files of the dashboard, which are in the program as they are and in this form.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the files are, from this crate.
const FILES: &str = "../../dashboard/dist";

/// What a page is made of.
const KINDS: [&str; 5] = ["css", "html", "js", "svg", "txt"];

fn main() -> Result<(), Box<dyn Error>> {
    let files = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join(FILES);
    let out = PathBuf::from(env::var("OUT_DIR")?).join("dashboard");
    fs::create_dir_all(&out)?;
    // A new file is in the table there.
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/api/dashboard.rs");
    for entry in fs::read_dir(&files)? {
        let path = entry?.path();
        let kind = path.extension().unwrap_or_default();
        let Some(name) = path.file_name().filter(|_| KINDS.iter().any(|one| kind == *one)) else {
            continue;
        };
        println!("cargo:rerun-if-changed={}", path.display());
        let (name, bytes) = (name.to_string_lossy(), fs::read(&path)?);
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&bytes)?;
        fs::write(out.join(format!("{name}.gz")), packed.finish()?)?;
        fs::write(out.join(&*name), bytes)?;
    }
    Ok(())
}
