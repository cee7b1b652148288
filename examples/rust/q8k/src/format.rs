// SPDX-License-Identifier: MIT
use std::ffi::CString;
use std::os::raw::c_char;
use std::str::FromStr;

use crate::error::{check, static_text};
use crate::{sys, Error, Result};

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum Format {
    /// libq8k's own, 9.125 bits per weight. Not ggml's block_q8_K.
    Q8K = sys::Q8K_FORMAT_Q8_K,
    /// As in GGUF files, 4.5 bits per weight.
    Q4K = sys::Q8K_FORMAT_Q4_K,
    /// As in GGUF files, 5.5 bits per weight.
    Q5K = sys::Q8K_FORMAT_Q5_K,
    /// As in GGUF files, 6.5625 bits per weight.
    Q6K = sys::Q8K_FORMAT_Q6_K,
    /// As in GGUF files, 2.625 bits per weight.
    Q2K = sys::Q8K_FORMAT_Q2_K,
    /// As in GGUF files, 3.4375 bits per weight.
    Q3K = sys::Q8K_FORMAT_Q3_K,
    /// As in GGUF files, 8.5 bits per weight; a block here is eight of those there.
    Q80 = sys::Q8K_FORMAT_Q8_0,
}

impl Format {
    pub const ALL: [Format; 7] =
        [Format::Q8K, Format::Q4K, Format::Q5K, Format::Q6K, Format::Q2K, Format::Q3K, Format::Q80];

    fn from_number(number: sys::q8k_format) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|&format| format as sys::q8k_format == number);
        known.ok_or_else(|| Error::new(sys::Q8K_ERROR_FORMAT, format!("format {number}: newer than this crate")))
    }

    /// The format of a GGUF tensor type (8, 10 to 14).
    pub fn from_gguf_type(kind: u32) -> Result<Self> {
        let mut number = 0;
        // SAFETY: writes the number.
        check(unsafe { sys::q8k_format_from_gguf_type(kind, &mut number) })?;
        Self::from_number(number)
    }

    /// Such as "q4_k".
    pub fn name(self) -> &'static str {
        // SAFETY: a static text.
        unsafe { static_text(sys::q8k_format_name(self as sys::q8k_format)) }.unwrap_or_default()
    }

    /// Bytes of one row of `cols` weights without a gap after it; `cols` is a multiple of 256.
    pub fn row_bytes(self, cols: usize) -> Result<usize> {
        let number = self as sys::q8k_format;
        // SAFETY: functions of numbers.
        let (bytes, block) = unsafe { (sys::q8k_row_bytes(number, cols), sys::q8k_format_block_columns(number)) };
        if bytes != 0 || cols == 0 {
            return Ok(bytes);
        }
        if block == 0 {
            return Err(Error::new(sys::Q8K_ERROR_FORMAT, format!("format {self:?}: unknown to the library")));
        }
        if cols % block != 0 {
            return Err(Error::new(sys::Q8K_ERROR_COLUMNS, format!("cols = {cols}: not a multiple of {block}")));
        }
        Err(Error::new(sys::Q8K_ERROR_OVERFLOW, format!("cols = {cols}: a row is larger than memory")))
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::from_number(number_of(name, sys::q8k_format_from_name)?)
    }
}

/// How many bits of the activations count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Precision {
    /// 24 bits: the accuracy of float32.
    #[default]
    Float = sys::Q8K_PRECISION_FLOAT,
    /// 12 bits: that of fp16 activations, and faster.
    Half = sys::Q8K_PRECISION_HALF,
    /// 7 bits: that of int8 activations, and faster still.
    Byte = sys::Q8K_PRECISION_BYTE,
}

impl Precision {
    pub const ALL: [Precision; 3] = [Precision::Float, Precision::Half, Precision::Byte];

    /// "float", "half" or "byte".
    pub fn name(self) -> &'static str {
        // SAFETY: a static text.
        unsafe { static_text(sys::q8k_precision_name(self as sys::q8k_precision)) }.unwrap_or_default()
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let number = number_of(name, sys::q8k_precision_from_name)?;
        let known = Self::ALL.into_iter().find(|&precision| precision as sys::q8k_precision == number);
        known.ok_or_else(|| Error::new(sys::Q8K_ERROR_PRECISION, format!("precision {number}: newer than this crate")))
    }
}

/// A text for the library, which would end at a NUL.
pub(crate) fn c_text(what: &str, text: &str, status: sys::q8k_status) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(status, format!("{what} = {text:?}: holds a NUL")))
}

type FromName = unsafe extern "C" fn(*const c_char, *mut u32) -> sys::q8k_status;

fn number_of(name: &str, from_name: FromName) -> Result<u32> {
    let (text, mut number) = (c_text("name", name, sys::Q8K_ERROR_NAME)?, 0);
    // SAFETY: reads the text and writes the number.
    check(unsafe { from_name(text.as_ptr(), &mut number) })?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for format in Format::ALL {
            assert_eq!(format.name().parse::<Format>().unwrap(), format);
        }
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse::<Precision>().unwrap(), precision);
        }
        assert_eq!(Format::ALL.map(Format::name), ["q8_k", "q4_k", "q5_k", "q6_k", "q2_k", "q3_k", "q8_0"]);
        assert_eq!(Precision::ALL.map(Precision::name), ["float", "half", "byte"]);
    }

    #[test]
    fn all_of_the_library_are_here() {
        // SAFETY: functions of numbers.
        let theirs: Vec<u32> = unsafe { (0..sys::q8k_format_count()).map(|i| sys::q8k_format_at(i)).collect() };
        assert_eq!(theirs, Format::ALL.map(|format| format as u32));
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["q9_k", "", "q4_k\0"] {
            let error = name.parse::<Format>().unwrap_err();
            assert_eq!(error.status(), sys::Q8K_ERROR_NAME, "{error}");
        }
        assert_eq!("double".parse::<Precision>().unwrap_err().status(), sys::Q8K_ERROR_NAME);
    }

    #[test]
    fn gguf_types() {
        assert_eq!(Format::from_gguf_type(12).unwrap(), Format::Q4K);
        assert_eq!(Format::from_gguf_type(13).unwrap(), Format::Q5K);
        assert_eq!(Format::from_gguf_type(14).unwrap(), Format::Q6K);
        assert_eq!(Format::from_gguf_type(15).unwrap_err().status(), sys::Q8K_ERROR_NAME);
    }

    #[test]
    fn bytes_of_rows() {
        assert_eq!(Format::Q6K.row_bytes(512).unwrap(), 420);
        assert_eq!(Format::Q6K.row_bytes(0).unwrap(), 0);
        assert_eq!(Format::Q8K.row_bytes(100).unwrap_err().status(), sys::Q8K_ERROR_COLUMNS);
        assert_eq!(Format::Q8K.row_bytes(usize::MAX - 255).unwrap_err().status(), sys::Q8K_ERROR_OVERFLOW);
    }
}
