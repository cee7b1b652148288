// SPDX-License-Identifier: MIT
use std::marker::PhantomData;
use std::mem::size_of;
use std::os::raw::c_void;
use std::ptr::null;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::context::product_args;
use crate::error::check;
use crate::{sys, Context, Error, Matrix, MatrixMut, Precision, Result, Weights};

/// An input made ready for any number of products, in parts that any threads may run. It can be used again and again.
///
/// Each part is handed out once and is used up when run, so no two threads can write the same memory; and while there
/// are parts of an input, the borrow that they hold keeps products away.
#[derive(Debug)]
pub struct PreparedInput<'c> {
    context: &'c Context,
    precision: Precision,
    batch: usize,
    cols: usize,
    buffer: Vec<u8>,
    /// How many parts the input was divided in last, 0 at first, and how many of them succeeded.
    parts: usize,
    done: AtomicUsize,
}

impl<'c> PreparedInput<'c> {
    /// Memory for an input of a shape, `cols` a multiple of 256. Nothing is allocated after this.
    pub fn new(context: &'c Context, precision: Precision, batch: usize, cols: usize) -> Result<Self> {
        let mut bytes = 0;
        let args = input_args(precision, batch, cols);
        // SAFETY: does not look at the input, which is NULL.
        check(unsafe { sys::q8k_input_bytes(context.as_ptr(), &args, &mut bytes) })?;
        let mut buffer = Vec::new();
        let no_memory = |_| Error::new(sys::Q8K_ERROR_MEMORY, format!("prepared: no memory for {bytes} bytes"));
        buffer.try_reserve_exact(bytes).map_err(no_memory)?;
        buffer.resize(bytes, 0);
        Ok(PreparedInput { context, precision, batch, cols, buffer, parts: 0, done: AtomicUsize::new(0) })
    }

    /// Divides the preparation of an input. What was prepared before is lost.
    pub fn input_parts<'a>(
        &'a mut self,
        input: &Matrix<'a>,
        parts: usize,
    ) -> Result<impl ExactSizeIterator<Item = InputPart<'a>> + 'a> {
        check_parts(parts)?;
        if (input.rows, input.cols) != (self.batch, self.cols) {
            let text = format!("input: {} x {} instead of {} x {}", input.rows, input.cols, self.batch, self.cols);
            return Err(Error::new(sys::Q8K_ERROR_BYTES, text));
        }
        let mut args = input_args(self.precision, self.batch, self.cols);
        args.input = input.data.as_ptr();
        args.input_stride = input.stride;
        self.parts = parts;
        *self.done.get_mut() = 0;
        let (buffer, bytes) = (self.buffer.as_mut_ptr().cast(), self.buffer.len());
        let (context, done) = (self.context, &self.done);
        Ok((0..parts).map(move |part| InputPart {
            context,
            args,
            buffer,
            bytes,
            part,
            parts,
            done,
            input: PhantomData,
        }))
    }

    /// Divides a product. All parts of the input must have been run with success.
    pub fn product_parts<'a>(
        &'a self,
        weights: &Weights<'a>,
        output: &'a mut MatrixMut<'_>,
        parts: usize,
    ) -> Result<impl ExactSizeIterator<Item = ProductPart<'a>> + 'a> {
        check_parts(parts)?;
        // Whoever has `self` again has waited for the parts, so they need no more order than that.
        let done = self.done.load(Ordering::Relaxed);
        if self.parts == 0 || done != self.parts {
            let text = format!("prepared: {done} parts of {}", self.parts);
            return Err(Error::new(sys::Q8K_ERROR_PREPARED, text));
        }
        let args = product_args(self.precision, weights, self.batch, self.cols, output)?;
        Ok((0..parts).map(move |part| ProductPart { input: self, args, part, parts, borrowed: PhantomData }))
    }
}

fn check_parts(parts: usize) -> Result<()> {
    if parts == 0 {
        return Err(Error::new(sys::Q8K_ERROR_PART, "parts = 0: at least 1".into()));
    }
    Ok(())
}

fn input_args(precision: Precision, batch: usize, cols: usize) -> sys::q8k_input_args {
    sys::q8k_input_args {
        size: size_of::<sys::q8k_input_args>(),
        precision: precision as sys::q8k_precision,
        in_features: cols,
        batch,
        input: null(),
        input_stride: 0,
    }
}

/// One part of preparing an input.
#[derive(Debug)]
pub struct InputPart<'a> {
    context: &'a Context,
    args: sys::q8k_input_args,
    buffer: *mut c_void,
    bytes: usize,
    part: usize,
    parts: usize,
    done: &'a AtomicUsize,
    input: PhantomData<&'a [f32]>,
}

// SAFETY: the input is borrowed for reading, and of the buffer, which nothing else can reach while there are parts,
// each part writes memory of its own.
unsafe impl Send for InputPart<'_> {}

impl InputPart<'_> {
    /// On this thread.
    pub fn run(self) -> Result<()> {
        // SAFETY: the arguments are those that were checked; each part is run once at most.
        check(unsafe {
            let context = self.context.as_ptr();
            sys::q8k_input_prepare(context, &self.args, self.buffer, self.bytes, self.part, self.parts)
        })?;
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// One part of a product.
#[derive(Debug)]
pub struct ProductPart<'a> {
    input: &'a PreparedInput<'a>,
    args: sys::q8k_matmul_args,
    part: usize,
    parts: usize,
    borrowed: PhantomData<(&'a [u8], &'a mut [f32])>,
}

// SAFETY: input and weights are borrowed for reading, and of the output, which is borrowed alone, each part writes
// elements of its own.
unsafe impl Send for ProductPart<'_> {}

impl ProductPart<'_> {
    /// On this thread.
    pub fn run(self) -> Result<()> {
        let (input, buffer) = (self.input, &self.input.buffer);
        // SAFETY: as in InputPart::run().
        check(unsafe {
            let (context, prepared) = (input.context.as_ptr(), buffer.as_ptr().cast());
            sys::q8k_matmul_prepared(context, &self.args, prepared, buffer.len(), self.part, self.parts)
        })
    }
}
