// SPDX-License-Identifier: MIT
//! The functions of libq8k as C declares them. The manual of all of this is the header, `q8k/q8k.h`; the names are
//! its names. tests/layout.rs holds structs and constants against it.
#![allow(non_camel_case_types)]

use std::os::raw::{c_char, c_void};

pub type q8k_status = i32;

pub const Q8K_OK: q8k_status = 0;
pub const Q8K_ERROR_NULL: q8k_status = 1;
pub const Q8K_ERROR_STRUCT: q8k_status = 2;
pub const Q8K_ERROR_FORMAT: q8k_status = 3;
pub const Q8K_ERROR_PRECISION: q8k_status = 4;
pub const Q8K_ERROR_COLUMNS: q8k_status = 5;
pub const Q8K_ERROR_BYTES: q8k_status = 6;
pub const Q8K_ERROR_OVERFLOW: q8k_status = 7;
pub const Q8K_ERROR_STRIDE: q8k_status = 8;
pub const Q8K_ERROR_OVERLAP: q8k_status = 9;
pub const Q8K_ERROR_PART: q8k_status = 10;
pub const Q8K_ERROR_PREPARED: q8k_status = 11;
pub const Q8K_ERROR_NOT_FINITE: q8k_status = 12;
pub const Q8K_ERROR_RANGE: q8k_status = 13;
pub const Q8K_ERROR_MEMORY: q8k_status = 14;
pub const Q8K_ERROR_BACKEND: q8k_status = 15;
pub const Q8K_ERROR_ENVIRONMENT: q8k_status = 16;
pub const Q8K_ERROR_INDEX: q8k_status = 17;
pub const Q8K_ERROR_NAME: q8k_status = 18;

pub type q8k_format = u32;

pub const Q8K_FORMAT_Q8_K: q8k_format = 1;
pub const Q8K_FORMAT_Q4_K: q8k_format = 2;
pub const Q8K_FORMAT_Q5_K: q8k_format = 3;
pub const Q8K_FORMAT_Q6_K: q8k_format = 4;
pub const Q8K_FORMAT_Q2_K: q8k_format = 5;
pub const Q8K_FORMAT_Q3_K: q8k_format = 6;
pub const Q8K_FORMAT_Q8_0: q8k_format = 7;

pub type q8k_precision = u32;

pub const Q8K_PRECISION_FLOAT: q8k_precision = 0;
pub const Q8K_PRECISION_HALF: q8k_precision = 1;
pub const Q8K_PRECISION_BYTE: q8k_precision = 2;

pub type q8k_backend_state = i32;

pub const Q8K_BACKEND_SELECTED: q8k_backend_state = 0;
pub const Q8K_BACKEND_AVAILABLE: q8k_backend_state = 1;
pub const Q8K_BACKEND_REJECTED: q8k_backend_state = 2;

/// Opaque.
#[repr(C)]
pub struct q8k_context {
    _private: [u8; 0],
}

/// Opaque.
#[repr(C)]
pub struct q8k_backend_list {
    _private: [u8; 0],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct q8k_context_options {
    pub size: usize,
    pub backend: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct q8k_backend_info {
    pub size: usize,
    pub name: *const c_char,
    pub file: *const c_char,
    pub needs: *const c_char,
    pub reason: *const c_char,
    pub state: q8k_backend_state,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct q8k_matmul_args {
    pub size: usize,
    pub format: q8k_format,
    pub precision: q8k_precision,
    pub out_features: usize,
    pub in_features: usize,
    pub batch: usize,
    pub weights: *const c_void,
    pub weights_bytes: usize,
    pub weights_stride: usize,
    pub input: *const f32,
    pub input_stride: usize,
    pub output: *mut f32,
    pub output_stride: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct q8k_input_args {
    pub size: usize,
    pub precision: q8k_precision,
    pub in_features: usize,
    pub batch: usize,
    pub input: *const f32,
    pub input_stride: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct q8k_accumulate_args {
    pub size: usize,
    pub format: q8k_format,
    pub precision: q8k_precision,
    pub in_features: usize,
    pub weights: *const c_void,
    pub weights_bytes: usize,
    pub input: *const f32,
    pub sum: *mut f32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct q8k_quantize_args {
    pub size: usize,
    pub format: q8k_format,
    pub rows: usize,
    pub cols: usize,
    pub input: *const f32,
    pub input_stride: usize,
    pub weights: *mut c_void,
    pub weights_bytes: usize,
    pub weights_stride: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct q8k_dequantize_args {
    pub size: usize,
    pub format: q8k_format,
    pub rows: usize,
    pub cols: usize,
    pub weights: *const c_void,
    pub weights_bytes: usize,
    pub weights_stride: usize,
    pub output: *mut f32,
    pub output_stride: usize,
}

extern "C" {
    pub fn q8k_version() -> *const c_char;
    pub fn q8k_version_number() -> u32;
    pub fn q8k_status_name(status: q8k_status) -> *const c_char;
    pub fn q8k_last_error() -> *const c_char;

    pub fn q8k_format_count() -> usize;
    pub fn q8k_format_at(index: usize) -> q8k_format;
    pub fn q8k_format_name(format: q8k_format) -> *const c_char;
    pub fn q8k_format_from_name(name: *const c_char, format: *mut q8k_format) -> q8k_status;
    pub fn q8k_format_from_gguf_type(type_: u32, format: *mut q8k_format) -> q8k_status;
    pub fn q8k_format_gguf_type(format: q8k_format) -> i32;
    pub fn q8k_format_block_columns(format: q8k_format) -> usize;
    pub fn q8k_format_block_bytes(format: q8k_format) -> usize;
    pub fn q8k_row_bytes(format: q8k_format, cols: usize) -> usize;

    pub fn q8k_precision_name(precision: q8k_precision) -> *const c_char;
    pub fn q8k_precision_from_name(name: *const c_char, precision: *mut q8k_precision) -> q8k_status;

    pub fn q8k_context_create(out: *mut *mut q8k_context, options: *const q8k_context_options) -> q8k_status;
    pub fn q8k_context_destroy(context: *mut q8k_context);
    pub fn q8k_context_backend(context: *const q8k_context) -> *const c_char;

    pub fn q8k_backend_list_create(out: *mut *mut q8k_backend_list, options: *const q8k_context_options) -> q8k_status;
    pub fn q8k_backend_list_destroy(list: *mut q8k_backend_list);
    pub fn q8k_backend_list_count(list: *const q8k_backend_list) -> usize;
    pub fn q8k_backend_list_get(list: *const q8k_backend_list, index: usize, info: *mut q8k_backend_info)
        -> q8k_status;
    pub fn q8k_backend_list_directory(list: *const q8k_backend_list, problem: *mut *const c_char) -> *const c_char;
    pub fn q8k_backend_list_directory_source(list: *const q8k_backend_list) -> *const c_char;

    pub fn q8k_cpu_feature(index: usize, seen: *mut i32, usable: *mut i32) -> *const c_char;

    pub fn q8k_matmul(context: *const q8k_context, args: *const q8k_matmul_args) -> q8k_status;
    pub fn q8k_input_bytes(context: *const q8k_context, args: *const q8k_input_args, bytes: *mut usize) -> q8k_status;
    pub fn q8k_input_prepare(
        context: *const q8k_context,
        args: *const q8k_input_args,
        prepared: *mut c_void,
        prepared_bytes: usize,
        part: usize,
        parts: usize,
    ) -> q8k_status;
    pub fn q8k_matmul_prepared(
        context: *const q8k_context,
        args: *const q8k_matmul_args,
        prepared: *const c_void,
        prepared_bytes: usize,
        part: usize,
        parts: usize,
    ) -> q8k_status;
    pub fn q8k_accumulate(context: *const q8k_context, args: *const q8k_accumulate_args) -> q8k_status;
    pub fn q8k_quantize(args: *const q8k_quantize_args) -> q8k_status;
    pub fn q8k_dequantize(context: *const q8k_context, args: *const q8k_dequantize_args) -> q8k_status;
}
