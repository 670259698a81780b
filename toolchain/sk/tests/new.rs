//! `sk new`: its projects are built and tested with nothing from the network.

mod common;

use std::path::Path;
use std::process::Command;

use common::Sk;

fn cargo_test(sk: &Sk, project: &str) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["test", "--offline"])
        .current_dir(sk.path(project))
        .env("CARGO_TARGET_DIR", sk.path("target"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("test tests::counts ... ok"), "{out}");
    assert!(!err.contains("warning"), "{err}");
}

#[test]
fn a_project_in_rust_tests_itself_against_the_checkout() {
    let sk = Sk::new();
    let said = sk.run(&["new", "demo"]);
    assert_eq!((said.code, said.out.as_str()), (0, "demo\n"), "{}", said.err);
    cargo_test(&sk, "demo");
}

#[test]
fn a_project_with_a_copy_of_the_sdk_needs_nothing_else() {
    let sk = Sk::new();
    // In a workspace of somebody else.
    sk.file("Cargo.toml", b"[workspace]\nmembers = []\n");
    let said = sk.run(&["new", "inner/demo-2", "--copy-sdk"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let manifest = std::fs::read_to_string(sk.path("inner/demo-2/Cargo.toml")).unwrap();
    assert!(manifest.contains("path = \"sdk/payload-sdk\""), "{manifest}");
    cargo_test(&sk, "inner/demo-2");
    assert!(Path::new(&sk.path("inner/demo-2/sdk/LICENSE-MIT")).is_file());
}

#[test]
fn a_project_in_c() {
    let sk = Sk::new();
    let said = sk.run(&["new", "demo", "--lang", "c"]);
    assert_eq!((said.code, said.out.as_str()), (0, "demo\n"), "{}", said.err);
    let source = std::fs::read_to_string(sk.path("demo/main.c")).unwrap();
    assert!(source.contains("#include <serverkernel.h>"));
}

#[test]
fn what_is_there_is_not_touched() {
    let sk = Sk::new();
    std::fs::create_dir(sk.path("demo")).unwrap();
    let said = sk.run(&["new", "demo"]);
    assert_eq!(said.code, 1);
    assert_eq!(said.err, "error: demo exists\n  help: choose another name, or remove it\n");
    let said = sk.run(&["new", "2 fast"]);
    assert!(said.err.contains("'2 fast' is no name for a project"), "{}", said.err);
}
