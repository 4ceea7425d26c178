//! Measuring a disk.

use super::{fails, must};
use crate::testkit::TempDir;

#[test]
fn a_disk_is_measured_and_nothing_is_left() {
    let dir = TempDir::new("check-disk");
    let told = must(dir.path(), &["check", "disk", ".", "--seconds", "1"]);
    assert!(told.contains("512 bytes") && told.contains("slowest"), "{told}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("it is there").count(), 0);
    let refused = fails(dir.path(), &["check", "disk", "missing"]);
    assert!(refused.starts_with("stead: missing: "), "{refused}");
    assert!(fails(dir.path(), &["check", "disk"]).contains("name one directory"));
}
