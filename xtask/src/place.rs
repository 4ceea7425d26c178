//! File systems of other kinds, mounted for a while.

use crate::shadow::Shadow;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library that keeps account of what a server syncs.
const SHIM: &str = include_str!("../../crates/torture/src/shim.c");

/// Bytes of the image of a file system: as much as the largest of them wants at least.
const IMAGE_BYTES: u64 = 320 << 20;

/// The kinds that there are, with the program that makes one, and the packages of Debian that it
/// takes.
pub(crate) const KINDS: [(&str, &str, &str); 9] = [
    ("ext3", "mkfs.ext3", "e2fsprogs"),
    ("ext2", "mkfs.ext2", "e2fsprogs"),
    ("ext4", "mkfs.ext4", "e2fsprogs"),
    ("xfs", "mkfs.xfs", "xfsprogs"),
    ("vfat", "mkfs.vfat", "dosfstools"),
    ("exfat", "mkfs.exfat", "exfatprogs exfat-fuse"),
    ("tmpfs", "mount", "mount"),
    ("bindfs", "bindfs", "bindfs"),
    ("lossy", "gcc", "gcc libc6-dev"),
];

/// All packages that are wanted.
pub(crate) fn packages() -> Vec<&'static str> {
    KINDS.iter().flat_map(|(_, _, packages)| packages.split(' ')).collect()
}

/// A mounted file system; unmounted and removed when dropped.
pub(crate) struct Place {
    folder: PathBuf,
    /// A loop device that goes with it.
    device: Option<String>,
    /// The image of a file system that can lose what was not synced.
    image: Option<PathBuf>,
    /// What was synced, where a library keeps account of it.
    shadow: Option<Shadow>,
    is_mounted: bool,
}

impl Place {
    /// Makes a file system of a kind below `root` and mounts it.
    ///
    /// # Errors
    /// Why that cannot be done here.
    pub(crate) fn mount(kind: &str, root: &Path) -> Result<Self, String> {
        let folder = root.join(kind);
        let mut place = Self { folder, device: None, image: None, shadow: None, is_mounted: false };
        // What an earlier run left behind, mounted still if it was killed.
        while run("umount", &[&text(&place.path())]).is_ok() {}
        place.remove();
        make_dir(&place.path())?;
        let image = place.folder.join("image");
        let (image, path) = (text(&image), text(&place.path()));
        match kind {
            "tmpfs" | "lossy" => {
                run("mount", &["-t", "tmpfs", "-o", "size=1g", "stead-test", &path])?;
                if kind == "lossy" {
                    place.is_mounted = true;
                    place.shadow = Some(make_shadow(&place.folder)?);
                }
            }
            "bindfs" => {
                let behind = place.folder.join("behind");
                make_dir(&behind)?;
                run("bindfs", &[&text(&behind), &path])?;
            }
            _ => {
                let made = fs::File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES));
                made.map_err(|error| format!("{image}: {error}"))?;
                let (_, program, _) = KINDS
                    .iter()
                    .find(|(name, _, _)| *name == kind)
                    .ok_or_else(|| format!("unknown kind {kind}"))?;
                let quietly: &[&str] = match kind {
                    "xfs" => &["-q", "-f"],
                    "vfat" | "exfat" => &[],
                    _ => &["-q", "-F"],
                };
                run(program, &[quietly, &[&image]].concat())?;
                // Of exFAT there is one in user space, which every kernel takes.
                match kind {
                    "exfat" => {
                        let device = output("losetup", &["--find", "--show", &image])?;
                        let device = place.device.insert(device.trim().to_owned());
                        run("mount.exfat-fuse", &[device, &path])?;
                    }
                    _ => {
                        run("mount", &["-o", "loop", &image, &path])?;
                        place.image = Some(PathBuf::from(&image));
                    }
                }
            }
        }
        place.is_mounted = true;
        Ok(place)
    }

    /// What a server's command line begins with here.
    pub(crate) fn prefix(&self) -> Vec<String> {
        let Some(shadow) = &self.shadow else { return Vec::new() };
        let library = fs::canonicalize(self.folder.join("shim.so")).unwrap_or_default();
        vec![
            "env".to_owned(),
            format!("LD_PRELOAD={}", library.display()),
            format!("STEAD_TORTURE_SHADOW={}", shadow.folder().display()),
        ]
    }

    /// Loses what was not synced, as at a power loss; says whether that can be done here. Nobody
    /// uses the file system meanwhile.
    ///
    /// # Errors
    /// What cannot be done.
    pub(crate) fn cut_power(&mut self) -> Result<bool, String> {
        if let Some(shadow) = &self.shadow {
            let restored = shadow.restore(&self.path());
            return restored.map(|()| true).map_err(|error| error.to_string());
        }
        let Some(image) = self.image.clone() else { return Ok(false) };
        // From one moment on nothing reaches the device any more, journals included: a copy of the
        // image would be of many moments.
        let image = text(&image);
        if let Err(error) = run("xfs_io", &["-x", "-c", "shutdown", &text(&self.path())]) {
            println!("power losses: skipped: {error}");
            return Ok(false);
        }
        run("umount", &[&text(&self.path())])?;
        self.is_mounted = false;
        if self.folder.ends_with("ext2") {
            // It has no journal. The status says that something was repaired.
            let _ = run("fsck.ext2", &["-y", &image]);
        }
        run("mount", &["-o", "loop", &image, &text(&self.path())])?;
        self.is_mounted = true;
        Ok(true)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("mounted")
    }

    fn remove(&mut self) {
        let path = text(&self.path());
        if self.is_mounted {
            // What is in use now goes when it is not any more.
            let _ = run("umount", &[&path]).or_else(|_| run("umount", &["-l", &path]));
        }
        if let Some(device) = self.device.take() {
            // It stays where it is still in use.
            let _ = run("losetup", &["--detach", &device]);
        }
        // Only what is not mounted can be removed, so that nothing behind a mount is.
        let _ = fs::remove_dir(&path);
        if !self.path().exists() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.remove();
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn make_dir(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Builds the library that keeps account of syncs, and begins an account.
fn make_shadow(folder: &Path) -> Result<Shadow, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let (library, source) = (text(&folder.join("shim.so")), text(&folder.join("shim.c")));
    fs::write(&source, SHIM).map_err(failed)?;
    run("gcc", &["-O1", "-shared", "-fPIC", "-o", &library, &source, "-ldl", "-lpthread"])?;
    Shadow::new(folder.join("shadow")).map_err(failed)
}

/// Runs a program to its end.
///
/// # Errors
/// What it said, when it failed.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<(), String> {
    output(program, args).map(|_| ())
}

/// Runs a program to its end, and gives what it wrote.
///
/// # Errors
/// What it said, when it failed.
fn output(program: &str, args: &[&str]) -> Result<String, String> {
    // Where programs for root are is not in everybody's path.
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .args(args)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}", said.lines().next().unwrap_or("it failed")))
}

/// Whether this process may mount.
pub(crate) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

/// Installs packages of Debian, where this is a machine for that alone; says what it cannot.
/// Elsewhere that is for whoever runs this: see `advice`.
pub(crate) fn install(packages: &[&str]) {
    if !is_ci() {
        return;
    }
    let install = [&["install", "-y", "-qq"], packages].concat();
    let installed = run("apt-get", &install)
        .or_else(|_| run("apt-get", &["update", "-qq"]).and_then(|()| run("apt-get", &install)));
    if let Err(error) = installed {
        eprintln!("{}: not installed: {error}", packages.join(", "));
    }
}

/// Whether this is a machine that CI has for itself.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}

/// What to do about something that is not there.
pub(crate) fn advice(packages: &str) -> String {
    format!("apt-get install {packages} (done automatically with CI=true)")
}
