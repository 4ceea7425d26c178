//! Files that did not come from the member itself: what was put on a disk from outside was there
//! before the machine ran, and so it is durable.

use crate::shadow::{Shadow, id};
use std::fs;
use std::io;
use std::path::Path;

impl Shadow {
    /// Begins the account anew with what is below a directory now. Nobody uses it meanwhile.
    ///
    /// # Errors
    /// What the disk gave.
    pub(crate) fn adopt(&self, root: &Path) -> io::Result<()> {
        fs::remove_dir_all(self.folder())?;
        fs::create_dir(self.folder())?;
        self.adopt_dir(root)
    }

    fn adopt_dir(&self, dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                self.adopt_dir(&path)?;
            } else {
                fs::copy(&path, self.folder().join(format!("file-{}", id(&path)?)))?;
            }
        }
        self.note_names(dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_there_survives_a_power_loss() {
        let root = std::env::temp_dir().join(format!("stead-adopt-{}", std::process::id()));
        let disk = root.join("disk");
        let data = disk.join("data");
        fs::create_dir_all(data.join("within")).expect("the disk works");
        let shadow = Shadow::new(root.join("shadow")).expect("the disk works");
        for name in ["one", "within/two"] {
            fs::write(data.join(name), name).expect("the disk works");
        }
        shadow.adopt(&disk).expect("the disk works");
        fs::write(data.join("lost"), "3").expect("the disk works");
        fs::write(data.join("one"), "changed").expect("the disk works");
        shadow.restore(&disk).expect("the disk works");
        let content = |name: &str| fs::read_to_string(data.join(name)).ok();
        assert_eq!(content("one").as_deref(), Some("one"));
        assert_eq!(content("within/two").as_deref(), Some("within/two"));
        assert_eq!(content("lost"), None);
        fs::remove_dir_all(root).expect("the disk works");
    }
}
