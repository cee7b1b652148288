// SPDX-License-Identifier: MIT
//! What the wrapper makes of the installed library, on the backend that Q8K_BACKEND names, if any.
use std::sync::Barrier;
use std::thread;

use q8k::{sys, Context, Format, Matrix, MatrixMut, Precision, PreparedInput, Weights};

/// Numbers from -1 to 1, without a pattern.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

struct Problem {
    format: Format,
    rows: usize,
    cols: usize,
    batch: usize,
    blocks: Vec<u8>,
    activations: Vec<f32>,
}

impl Problem {
    fn new(format: Format, rows: usize, cols: usize, batch: usize) -> Self {
        let matrix = numbers(1, rows * cols);
        let blocks = q8k::quantize(format, &Matrix::new(&matrix, rows, cols).unwrap()).unwrap();
        Problem { format, rows, cols, batch, blocks, activations: numbers(2, batch * cols) }
    }

    fn weights(&self) -> Weights<'_> {
        Weights::new(self.format, self.rows, self.cols, &self.blocks)
    }

    fn input(&self) -> Matrix<'_> {
        Matrix::new(&self.activations, self.batch, self.cols).unwrap()
    }

    fn product(&self, context: &Context, precision: Precision) -> Vec<f32> {
        let mut output = vec![f32::NAN; self.batch * self.rows];
        let mut matrix = MatrixMut::new(&mut output, self.batch, self.rows).unwrap();
        context.matmul(precision, &self.weights(), &self.input(), &mut matrix).unwrap();
        output
    }
}

#[test]
fn close_to_a_product_in_f64() {
    let context = Context::new().unwrap();
    for format in Format::ALL {
        let problem = Problem::new(format, 33, 512, 3);
        let mut decoded = vec![0.0; 33 * 512];
        context.dequantize(&problem.weights(), &mut MatrixMut::new(&mut decoded, 33, 512).unwrap()).unwrap();
        for (precision, limit) in [(Precision::Float, 1e-6), (Precision::Half, 1e-3), (Precision::Byte, 3e-2)] {
            let output = problem.product(&context, precision);
            for (i, &value) in output.iter().enumerate() {
                let (x, w) = (&problem.activations[i / 33 * 512..][..512], &decoded[i % 33 * 512..][..512]);
                let terms = x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w));
                let (exact, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
                assert!(
                    (f64::from(value) - exact).abs() <= limit * size,
                    "{format:?} {precision:?} {i}: {value} {exact}"
                );
            }
        }
    }
}

#[test]
fn parts_on_threads_have_the_same_bits() {
    let context = Context::new().unwrap();
    let (query, key) = (Problem::new(Format::Q4K, 150, 768, 9), Problem::new(Format::Q6K, 50, 768, 9));
    for precision in Precision::ALL {
        let mut prepared = PreparedInput::new(&context, precision, 9, 768).unwrap();
        for parts in [1, 3, 16] {
            let input = query.input();
            let pieces = prepared.input_parts(&input, parts).unwrap();
            assert_eq!(pieces.len(), parts);
            thread::scope(|scope| pieces.for_each(|part| drop(scope.spawn(move || part.run().unwrap()))));
            for problem in [&query, &key] {
                let mut output = vec![f32::NAN; 9 * problem.rows];
                let mut matrix = MatrixMut::new(&mut output, 9, problem.rows).unwrap();
                let pieces = prepared.product_parts(&problem.weights(), &mut matrix, parts + 1).unwrap();
                thread::scope(|scope| pieces.for_each(|part| drop(scope.spawn(move || part.run().unwrap()))));
                assert_eq!(bits(&output), bits(&problem.product(&context, precision)));
            }
        }
    }
}

#[test]
fn parts_that_were_not_run_are_missed() {
    let context = Context::new().unwrap();
    let problem = Problem::new(Format::Q5K, 8, 256, 2);
    let (weights, input) = (problem.weights(), problem.input());
    let mut output = vec![0.0; 16];
    let mut matrix = MatrixMut::new(&mut output, 2, 8).unwrap();
    let mut prepared = PreparedInput::new(&context, Precision::Float, 2, 256).unwrap();
    let refused = |result: q8k::Result<usize>, status| assert_eq!(result.unwrap_err().status(), status);
    let parts = |prepared: &PreparedInput<'_>, matrix: &mut MatrixMut<'_>, parts| {
        prepared.product_parts(&weights, matrix, parts).map(|pieces| pieces.len())
    };
    refused(parts(&prepared, &mut matrix, 1), sys::Q8K_ERROR_PREPARED);
    prepared.input_parts(&input, 2).unwrap().take(1).for_each(|part| part.run().unwrap());
    refused(parts(&prepared, &mut matrix, 1), sys::Q8K_ERROR_PREPARED);
    prepared.input_parts(&input, 2).unwrap().for_each(|part| part.run().unwrap());
    assert_eq!(parts(&prepared, &mut matrix, 1).unwrap(), 1);
    refused(parts(&prepared, &mut matrix, 0), sys::Q8K_ERROR_PART);
    refused(prepared.input_parts(&input, 0).map(|pieces| pieces.len()), sys::Q8K_ERROR_PART);
    let narrow = Matrix::new(&problem.activations, 1, 256).unwrap();
    refused(prepared.input_parts(&narrow, 1).map(|pieces| pieces.len()), sys::Q8K_ERROR_BYTES);
}

#[test]
fn rows_that_lie_apart() {
    let context = Context::new().unwrap();
    let problem = Problem::new(Format::Q8K, 5, 256, 3);
    let plain = problem.product(&context, Precision::Half);
    let (mut blocks, mut activations) = (vec![0xff; 5 * 300], vec![f32::NAN; 3 * 259]);
    for (row, bytes) in problem.blocks.chunks(292).enumerate() {
        blocks[row * 300..][..292].copy_from_slice(bytes);
    }
    for (row, values) in problem.activations.chunks(256).enumerate() {
        activations[row * 259..][..256].copy_from_slice(values);
    }
    let weights = Weights::with_stride(Format::Q8K, 5, 256, &blocks, 300);
    let input = Matrix::with_stride(&activations, 3, 256, 259).unwrap();
    let mut output = vec![7.0; 3 * 9];
    context
        .matmul(Precision::Half, &weights, &input, &mut MatrixMut::with_stride(&mut output, 3, 5, 9).unwrap())
        .unwrap();
    for (row, values) in output.chunks(9).enumerate() {
        assert_eq!(bits(&values[..5]), bits(&plain[row * 5..][..5]));
        assert_eq!(values[5..], [7.0; 4]);
    }
    let quantized =
        q8k::quantize(Format::Q8K, &Matrix::with_stride(&numbers(1, 5 * 256), 2, 256, 512).unwrap()).unwrap();
    assert_eq!(quantized, [&problem.blocks[..292], &problem.blocks[584..876]].concat());
}

#[test]
fn what_does_not_fit_is_refused() {
    let context = Context::new().unwrap();
    let problem = Problem::new(Format::Q4K, 4, 512, 2);
    let mut output = vec![7.0; 8];
    let mut attempt = |weights: Weights<'_>, rows, cols, status| {
        let mut matrix = MatrixMut::new(&mut output, rows, cols).unwrap();
        let error = context.matmul(Precision::Float, &weights, &problem.input(), &mut matrix).unwrap_err();
        assert_eq!(error.status(), status, "{error}");
        assert!(!error.text().is_empty());
    };
    attempt(problem.weights(), 1, 4, sys::Q8K_ERROR_BYTES);
    attempt(problem.weights(), 2, 3, sys::Q8K_ERROR_BYTES);
    attempt(Weights::new(Format::Q4K, 4, 256, &problem.blocks), 2, 4, sys::Q8K_ERROR_BYTES);
    attempt(Weights::new(Format::Q5K, 4, 512, &problem.blocks), 2, 4, sys::Q8K_ERROR_BYTES);
    attempt(Weights::new(Format::Q4K, 4, 512, &problem.blocks[1..]), 2, 4, sys::Q8K_ERROR_BYTES);
    attempt(Weights::with_stride(Format::Q4K, 4, 512, &problem.blocks, 5), 2, 4, sys::Q8K_ERROR_STRIDE);
    assert_eq!(output, [7.0; 8]);

    let mut matrix = numbers(3, 512);
    matrix[300] = f32::NAN;
    let error = q8k::quantize(Format::Q6K, &Matrix::new(&matrix, 1, 512).unwrap()).unwrap_err();
    assert_eq!(error.status(), sys::Q8K_ERROR_NOT_FINITE);
    assert!(error.to_string().contains("300"), "{error}");
    let error = PreparedInput::new(&context, Precision::Float, 1, 100).unwrap_err();
    assert_eq!(error.status(), sys::Q8K_ERROR_COLUMNS);
}

#[test]
fn errors_are_those_of_their_threads() {
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for i in 0..8 {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                let error = Context::with_backend(&format!("none-{i}")).unwrap_err();
                assert_eq!(error.status(), sys::Q8K_ERROR_BACKEND);
                assert!(error.text().contains(&format!("none-{i}")), "{error}");
            });
        }
    });
}

#[test]
fn contexts() {
    assert_eq!(Context::with_backend("builtin").unwrap().backend(), "builtin");
    let problem = Problem::new(Format::Q5K, 20, 512, 6);
    let (best, builtin) = (Context::new().unwrap(), Context::with_backend("builtin").unwrap());
    assert_eq!(bits(&problem.product(&best, Precision::Float)), bits(&problem.product(&builtin, Precision::Float)));
    assert_eq!(Context::with_backend("a\0b").unwrap_err().status(), sys::Q8K_ERROR_BACKEND);
    assert_eq!(q8k::version().split('.').count(), 3);
}
