// SPDX-License-Identifier: MIT
//! Holds the bindings against the installed header: a C program tells sizes, offsets and values, and the preprocessed
//! header which functions and constants there are. Needs a C compiler (CC) and pkg-config.
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::mem::{size_of, MaybeUninit};
use std::process::Command;
use std::ptr::addr_of;

use q8k_sys::*;

/// Of a struct or a member: its size and its offset; of a constant: its value and 0.
type Layout = BTreeMap<String, (usize, usize)>;

macro_rules! describe {
    ($layout:expr, $struct:ident { $($member:ident),* }) => {
        $layout.insert(stringify!($struct).to_string(), (size_of::<$struct>(), 0));
        let nothing = MaybeUninit::<$struct>::uninit();
        let start = nothing.as_ptr();
        $(
            // SAFETY: addresses inside of the struct, which is not read.
            let member = unsafe { addr_of!((*start).$member) };
            let offset = member as usize - start as usize;
            $layout.insert(concat!(stringify!($struct), ".", stringify!($member)).to_string(), (size_at(member), offset));
        )*
    };
}

fn size_at<T>(_: *const T) -> usize {
    size_of::<T>()
}

fn our_structs() -> Layout {
    let mut layout = Layout::new();
    describe!(layout, q8k_context_options { size, backend });
    describe!(layout, q8k_backend_info { size, name, file, needs, reason, state });
    describe!(
        layout,
        q8k_matmul_args {
            size,
            format,
            precision,
            out_features,
            in_features,
            batch,
            weights,
            weights_bytes,
            weights_stride,
            input,
            input_stride,
            output,
            output_stride
        }
    );
    describe!(layout, q8k_input_args { size, precision, in_features, batch, input, input_stride });
    describe!(layout, q8k_accumulate_args { size, format, precision, in_features, weights, weights_bytes, input, sum });
    describe!(
        layout,
        q8k_quantize_args { size, format, rows, cols, input, input_stride, weights, weights_bytes, weights_stride }
    );
    describe!(
        layout,
        q8k_dequantize_args { size, format, rows, cols, weights, weights_bytes, weights_stride, output, output_stride }
    );
    layout
}

/// The constants of the bindings' source.
fn our_constants() -> Layout {
    let constants = include_str!("../src/lib.rs").lines().filter_map(|line| line.strip_prefix("pub const "));
    constants
        .map(|line| {
            let (name, rest) = line.split_once(':').unwrap();
            let value = rest.split_once('=').unwrap().1.trim().trim_end_matches(';');
            (name.to_string(), (value.parse().unwrap(), 0))
        })
        .collect()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn words(variable: &str, otherwise: &str) -> Vec<String> {
    let text = env::var(variable).ok().filter(|text| !text.trim().is_empty()).unwrap_or_else(|| otherwise.into());
    text.split_whitespace().map(String::from).collect()
}

/// The C compiler, with what it needs to find the header.
fn compiler() -> Command {
    let pkg_config = words("PKG_CONFIG", "pkg-config");
    let cflags = run(Command::new(&pkg_config[0]).args(&pkg_config[1..]).args(["--cflags", "q8k"]));
    let cc = words("CC", "cc");
    let mut command = Command::new(&cc[0]);
    command.args(&cc[1..]).args(cflags.split_whitespace());
    command
}

fn their_layout(ours: &Layout, constants: &Layout) -> Layout {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (folder.join("layout.c"), folder.join("layout"));
    let mut text = String::from("#include <stdio.h>\n#include <q8k/q8k.h>\nint main(void) {\n");
    let mut print = |name: &str, size: String, offset: String| {
        text += &format!("printf(\"{name} %zu %zu\\n\", {size}, {offset});\n")
    };
    for name in ours.keys() {
        match name.split_once('.') {
            None => print(name, format!("sizeof({name})"), "(size_t)0".into()),
            Some((of, member)) => {
                print(name, format!("sizeof((({of} *)0)->{member})"), format!("offsetof({of}, {member})"))
            }
        }
    }
    for name in constants.keys() {
        print(name, format!("(size_t){name}"), "(size_t)0".into());
    }
    text += "return 0;\n}\n";
    fs::write(&source, text).unwrap();
    run(compiler().arg("-o").arg(&program).arg(&source));
    let number = |text: &str| text.parse::<usize>().unwrap();
    run(&mut Command::new(&program))
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .map(|line| (line[0].to_string(), (number(line[1]), number(line[2]))))
        .collect()
}

/// The functions that a text declares, q8k_NAME(...), each with its number of arguments.
fn functions(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (start, _) in text.match_indices("q8k_") {
        let rest = &text[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if let Some(arguments) = rest[end..].strip_prefix('(') {
            let arguments = arguments.split(')').next().unwrap().split(',').map(str::trim);
            let count = arguments.filter(|argument| !argument.is_empty() && *argument != "void").count();
            found.insert(rest[..end].to_string(), count);
        }
    }
    found
}

/// The header without comments and macros; nothing else is in it.
fn header() -> String {
    let source = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("header.c");
    fs::write(&source, "#include <q8k/q8k.h>\n").unwrap();
    run(compiler().args(["-E", "-P"]).arg(&source))
}

#[test]
fn structs_and_values_are_those_of_the_header() {
    let (structs, constants) = (our_structs(), our_constants());
    let theirs = their_layout(&structs, &constants);
    let ours: Layout = structs.into_iter().chain(constants).collect();
    assert!(ours.len() > 80, "only {} things to compare", ours.len());
    assert_eq!(ours, theirs);
}

#[test]
fn nothing_of_the_header_is_missing() {
    let header = header();
    let ours = include_str!("../src/lib.rs");
    let theirs = functions(&header);
    assert!(theirs.len() > 30, "only {} functions", theirs.len());
    assert_eq!(functions(ours), theirs);
    let mut constants: Vec<_> = header.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    constants.retain(|word| word.starts_with("Q8K_"));
    constants.sort_unstable();
    assert_eq!(our_constants().into_keys().collect::<Vec<_>>(), constants);
}
