// SPDX-License-Identifier: MIT
use std::ffi::CStr;
use std::fmt;
use std::os::raw::c_char;

use crate::sys;

pub type Result<T> = std::result::Result<T, Error>;

/// What was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: sys::q8k_status,
    text: String,
}

impl Error {
    pub(crate) fn new(status: sys::q8k_status, text: String) -> Self {
        Error { status, text }
    }

    /// One of the `sys::Q8K_ERROR_*` values.
    pub fn status(&self) -> sys::q8k_status {
        self.status
    }

    /// Its name, such as "Q8K_ERROR_STRIDE".
    pub fn status_name(&self) -> &'static str {
        // SAFETY: a static text, for every number.
        unsafe { static_text(sys::q8k_status_name(self.status)) }.unwrap_or_default()
    }

    /// The argument, its value and the limit, on one line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.status_name())
    }
}

impl std::error::Error for Error {}

/// To be called on the thread of the call, whose text it takes.
pub(crate) fn check(status: sys::q8k_status) -> Result<()> {
    if status == sys::Q8K_OK {
        return Ok(());
    }
    // SAFETY: never NULL, and valid until this thread's next failure.
    let text = unsafe { CStr::from_ptr(sys::q8k_last_error()) };
    Err(Error::new(status, text.to_string_lossy().into_owned()))
}

/// A text of the library; None for NULL.
///
/// # Safety
/// `text` is NULL or a text that lives as long as the process.
pub(crate) unsafe fn static_text(text: *const c_char) -> Option<&'static str> {
    if text.is_null() {
        return None;
    }
    CStr::from_ptr(text).to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_name_of_its_status() {
        let error = Error::new(sys::Q8K_ERROR_STRIDE, "input: too near".into());
        assert_eq!(error.to_string(), "input: too near (Q8K_ERROR_STRIDE)");
        assert_eq!(Error::new(-5, String::new()).status_name(), "unknown status");
    }
}
