// SPDX-License-Identifier: MIT
//! Asks pkg-config where libq8k is. The program itself is run, so that no crate is needed.
use std::env;
use std::process::Command;

/// The words that pkg-config prints: separated by spaces, in words by backslashes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut characters = text.trim().chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => words.last_mut().unwrap().extend(characters.next()),
            c if c.is_whitespace() => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "PKG_CONFIG_SYSROOT_DIR"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = Command::new(&program)
        .args(["--libs", "--print-errors", "q8k >= 0.9"])
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    if !output.status.success() {
        panic!("libq8k 0.9 is not installed where {program} looks: {}", String::from_utf8_lossy(&output.stderr));
    }
    for word in words(&String::from_utf8_lossy(&output.stdout)) {
        if let Some(folder) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={folder}");
        } else if let Some(library) = word.strip_prefix("-l") {
            println!("cargo:rustc-link-lib=dylib={library}");
        }
    }
}
