// SPDX-License-Identifier: MIT
//! float32 activations times K-quantized weights, by the installed libq8k.
//!
//! ```
//! use q8k::{Context, Format, Matrix, MatrixMut, Precision, PreparedInput, Weights};
//!
//! # fn main() -> q8k::Result<()> {
//! let (rows, cols, batch) = (64, 512, 3);
//! let matrix: Vec<f32> = (0..rows * cols).map(|i| (0.37 * i as f32).sin()).collect();
//! let activations: Vec<f32> = (0..batch * cols).map(|i| (1.3 * i as f32).cos()).collect();
//! let blocks = q8k::quantize(Format::Q4K, &Matrix::new(&matrix, rows, cols)?)?;
//!
//! let context = Context::new()?;
//! let weights = Weights::new(Format::Q4K, rows, cols, &blocks);
//! let input = Matrix::new(&activations, batch, cols)?;
//! let mut output = vec![0.0; batch * rows];
//! context.matmul(Precision::Float, &weights, &input, &mut MatrixMut::new(&mut output, batch, rows)?)?;
//!
//! // The same on threads: first all parts of the input, then all parts of the product. The bits are the same.
//! let mut in_parts = vec![f32::NAN; batch * rows];
//! let mut product = MatrixMut::new(&mut in_parts, batch, rows)?;
//! let mut prepared = PreparedInput::new(&context, Precision::Float, batch, cols)?;
//! let parts = prepared.input_parts(&input, 4)?;
//! std::thread::scope(|scope| parts.for_each(|part| { scope.spawn(|| part.run().unwrap()); }));
//! let parts = prepared.product_parts(&weights, &mut product, 4)?;
//! std::thread::scope(|scope| parts.for_each(|part| { scope.spawn(|| part.run().unwrap()); }));
//! assert_eq!(in_parts, output);
//! # Ok(())
//! # }
//! ```
//!
//! The library checks its arguments; what it cannot know are the lengths of slices of floats, which are checked here.
mod context;
mod error;
mod format;
mod matrix;
mod prepared;

pub use context::{quantize, Context};
pub use error::{Error, Result};
pub use format::{Format, Precision};
pub use matrix::{Matrix, MatrixMut, Weights};
pub use prepared::{InputPart, PreparedInput, ProductPart};
/// The functions themselves, and the numbers of statuses.
pub use q8k_sys as sys;

/// The version of the library in use, such as "0.9.0".
pub fn version() -> &'static str {
    // SAFETY: a static text.
    unsafe { error::static_text(sys::q8k_version()) }.unwrap_or_default()
}
