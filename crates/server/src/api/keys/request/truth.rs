//! The words for true and false.

/// One of the words that 2.x takes for a truth value; absent is false.
///
/// # Errors
/// It is another word.
pub(super) fn truth(word: Option<&str>) -> Result<bool, ()> {
    match word {
        None | Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
        Some(_) => Err(()),
    }
}
