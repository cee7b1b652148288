// SPDX-License-Identifier: MIT
use std::mem::size_of;
use std::ptr::{null, null_mut, NonNull};

use crate::error::{check, static_text};
use crate::format::c_text;
use crate::{sys, Error, Format, Matrix, MatrixMut, Precision, Result, Weights};

/// A chosen backend.
#[derive(Debug)]
pub struct Context {
    handle: NonNull<sys::q8k_context>,
}

// SAFETY: the library never changes a context once it is made and ties it to no thread; it is destroyed when dropped,
// and then there are no references left.
unsafe impl Send for Context {}
unsafe impl Sync for Context {}

impl Context {
    /// The backend that Q8K_BACKEND names, or the best.
    pub fn new() -> Result<Self> {
        Self::create(null())
    }

    /// A backend by its name.
    pub fn with_backend(name: &str) -> Result<Self> {
        let name = c_text("backend", name, sys::Q8K_ERROR_BACKEND)?;
        Self::create(&sys::q8k_context_options { size: size_of::<sys::q8k_context_options>(), backend: name.as_ptr() })
    }

    fn create(options: *const sys::q8k_context_options) -> Result<Self> {
        let mut handle = null_mut();
        // SAFETY: the options are NULL or whole, and their text ends with a NUL.
        check(unsafe { sys::q8k_context_create(&mut handle, options) })?;
        let missing = || Error::new(sys::Q8K_ERROR_NULL, "context: none, and no error".into());
        NonNull::new(handle).map(|handle| Context { handle }).ok_or_else(missing)
    }

    pub(crate) fn as_ptr(&self) -> *const sys::q8k_context {
        self.handle.as_ptr()
    }

    /// The name of the backend.
    pub fn backend(&self) -> &'static str {
        // SAFETY: valid until the process ends.
        unsafe { static_text(sys::q8k_context_backend(self.as_ptr())) }.unwrap_or_default()
    }

    /// output = input * transpose(weights), on this thread.
    pub fn matmul(
        &self,
        precision: Precision,
        weights: &Weights<'_>,
        input: &Matrix<'_>,
        output: &mut MatrixMut<'_>,
    ) -> Result<()> {
        let mut args = product_args(precision, weights, input.rows, input.cols, output)?;
        args.input = input.data.as_ptr();
        args.input_stride = input.stride;
        // SAFETY: the slices hold the shapes that the arguments say, and the output is borrowed alone.
        check(unsafe { sys::q8k_matmul(self.as_ptr(), &args) })
    }

    /// Decodes weights, each rounded once.
    pub fn dequantize(&self, weights: &Weights<'_>, output: &mut MatrixMut<'_>) -> Result<()> {
        output.check_shape(weights.rows, weights.cols)?;
        let args = sys::q8k_dequantize_args {
            size: size_of::<sys::q8k_dequantize_args>(),
            format: weights.format as sys::q8k_format,
            rows: weights.rows,
            cols: weights.cols,
            weights: weights.bytes.as_ptr().cast(),
            weights_bytes: weights.bytes.len(),
            weights_stride: weights.stride,
            output: output.data,
            output_stride: output.stride,
        };
        // SAFETY: as in matmul().
        check(unsafe { sys::q8k_dequantize(self.as_ptr(), &args) })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by q8k_context_create(), and not destroyed before.
        unsafe { sys::q8k_context_destroy(self.handle.as_ptr()) }
    }
}

/// The arguments of a product of an input of `batch` rows, which is left out.
pub(crate) fn product_args(
    precision: Precision,
    weights: &Weights<'_>,
    batch: usize,
    cols: usize,
    output: &mut MatrixMut<'_>,
) -> Result<sys::q8k_matmul_args> {
    if weights.cols != cols {
        let text = format!("input: {cols} columns, and {} of the weights", weights.cols);
        return Err(Error::new(sys::Q8K_ERROR_BYTES, text));
    }
    output.check_shape(batch, weights.rows)?;
    Ok(sys::q8k_matmul_args {
        size: size_of::<sys::q8k_matmul_args>(),
        format: weights.format as sys::q8k_format,
        precision: precision as sys::q8k_precision,
        out_features: weights.rows,
        in_features: weights.cols,
        batch,
        weights: weights.bytes.as_ptr().cast(),
        weights_bytes: weights.bytes.len(),
        weights_stride: weights.stride,
        input: null(),
        input_stride: 0,
        output: output.data,
        output_stride: output.stride,
    })
}

/// The blocks of a matrix in a format, row after row. Needs no context: every backend would give the same.
pub fn quantize(format: Format, matrix: &Matrix<'_>) -> Result<Vec<u8>> {
    // No overflow: a block is smaller than its floats, which are in memory.
    let mut weights = vec![0; matrix.rows * format.row_bytes(matrix.cols)?];
    let args = sys::q8k_quantize_args {
        size: size_of::<sys::q8k_quantize_args>(),
        format: format as sys::q8k_format,
        rows: matrix.rows,
        cols: matrix.cols,
        input: matrix.data.as_ptr(),
        input_stride: matrix.stride,
        weights: weights.as_mut_ptr().cast(),
        weights_bytes: weights.len(),
        weights_stride: 0,
    };
    // SAFETY: the slice holds its shape, and the library checks the bytes against it.
    check(unsafe { sys::q8k_quantize(&args) })?;
    Ok(weights)
}
