// SPDX-License-Identifier: MIT
use std::marker::PhantomData;

use crate::{sys, Error, Format, Result};

/// Rows of floats to be read. They may lie apart.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows that follow one another; `data` may be longer.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Result<Self> {
        Self::with_stride(data, rows, cols, cols)
    }

    /// `stride` floats from one row to the next, at least `cols`.
    pub fn with_stride(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Result<Self> {
        check_extent(data.len(), rows, cols, stride)?;
        Ok(Matrix { data, rows, cols, stride })
    }
}

/// Rows of floats to be written. What lies between them is not touched.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    pub(crate) data: *mut f32,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) stride: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it stands for the `&mut [f32]` that it was made of, and gives nothing away through a shared reference.
unsafe impl Send for MatrixMut<'_> {}
unsafe impl Sync for MatrixMut<'_> {}

impl<'a> MatrixMut<'a> {
    /// Rows that follow one another; `data` may be longer.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Result<Self> {
        Self::with_stride(data, rows, cols, cols)
    }

    /// `stride` floats from one row to the next, at least `cols`.
    pub fn with_stride(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Result<Self> {
        check_extent(data.len(), rows, cols, stride)?;
        Ok(MatrixMut { data: data.as_mut_ptr(), rows, cols, stride, borrowed: PhantomData })
    }

    pub(crate) fn check_shape(&self, rows: usize, cols: usize) -> Result<()> {
        if (self.rows, self.cols) == (rows, cols) {
            return Ok(());
        }
        Err(Error::new(
            sys::Q8K_ERROR_BYTES,
            format!("output: {} x {} instead of {rows} x {cols}", self.rows, self.cols),
        ))
    }
}

/// The library is told no lengths of floats: this is what keeps it inside of a slice. It takes a stride of 0 for rows
/// without a gap, which no stride of at least `cols` can be mistaken for.
fn check_extent(length: usize, rows: usize, cols: usize, stride: usize) -> Result<()> {
    if stride < cols {
        return Err(Error::new(sys::Q8K_ERROR_STRIDE, format!("stride = {stride}: shorter than a row of {cols}")));
    }
    if rows == 0 || cols == 0 {
        return Ok(());
    }
    let needed = (rows - 1).checked_mul(stride).and_then(|before| before.checked_add(cols));
    match needed {
        Some(needed) if needed <= length => Ok(()),
        Some(needed) => Err(Error::new(
            sys::Q8K_ERROR_BYTES,
            format!("data: {length} floats, and {needed} in {rows} rows of {cols} at a stride of {stride}"),
        )),
        None => Err(Error::new(
            sys::Q8K_ERROR_OVERFLOW,
            format!("rows = {rows}: with {cols} columns at a stride of {stride} larger than memory"),
        )),
    }
}

/// Weights as they are stored: rows of blocks. The library checks that the bytes fit the shape.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    pub(crate) format: Format,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) bytes: &'a [u8],
    pub(crate) stride: usize,
}

impl<'a> Weights<'a> {
    /// Rows that follow one another, at any alignment; `bytes` is as long as they are.
    pub fn new(format: Format, rows: usize, cols: usize, bytes: &'a [u8]) -> Self {
        Self::with_stride(format, rows, cols, bytes, 0)
    }

    /// `stride` bytes from one row to the next, 0 for no gap; `bytes` ends between the last row's end and where one
    /// more row would start.
    pub fn with_stride(format: Format, rows: usize, cols: usize, bytes: &'a [u8], stride: usize) -> Self {
        Weights { format, rows, cols, bytes, stride }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(length: usize, rows: usize, cols: usize, stride: usize) -> sys::q8k_status {
        check_extent(length, rows, cols, stride).map_or_else(|error| error.status(), |()| sys::Q8K_OK)
    }

    #[test]
    fn a_slice_must_hold_its_rows() {
        assert_eq!(status(12, 3, 4, 4), sys::Q8K_OK);
        assert_eq!(status(11, 3, 4, 4), sys::Q8K_ERROR_BYTES);
        assert_eq!(status(14, 3, 4, 5), sys::Q8K_OK);
        assert_eq!(status(13, 3, 4, 5), sys::Q8K_ERROR_BYTES);
        assert_eq!(status(12, 3, 4, 3), sys::Q8K_ERROR_STRIDE);
        assert_eq!(status(12, 3, 4, 0), sys::Q8K_ERROR_STRIDE);
    }

    #[test]
    fn sizes_do_not_wrap() {
        assert_eq!(status(4, 2, 4, usize::MAX), sys::Q8K_ERROR_OVERFLOW);
        assert_eq!(status(4, usize::MAX, 4, 4), sys::Q8K_ERROR_OVERFLOW);
        assert_eq!(status(4, 1 << (usize::BITS - 1), 2, 2), sys::Q8K_ERROR_OVERFLOW);
    }

    #[test]
    fn nothing_needs_nothing() {
        assert_eq!(status(0, 0, 4, 4), sys::Q8K_OK);
        assert_eq!(status(0, 4, 0, 0), sys::Q8K_OK);
    }
}
