//! Packages built for the board. Needs the sources of Rust's core library and
//! a minute or two, hence `cargo test -p sk-pack -- --ignored`.

use sk_pack::{BuildError, BuildOptions, PackOptions, build_payload, inspect, pack_payload};
use std::path::{Path, PathBuf};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../payload-sdk/examples")
}

fn quiet() -> BuildOptions {
    BuildOptions { quiet: true, ..BuildOptions::default() }
}

#[test]
#[ignore = "builds the core library"]
fn the_examples_keep_their_sizes() {
    for (name, most, imports) in [
        ("spin", 8, vec![]),
        ("md5", 5200, vec!["io.write/1"]),
        ("hello", 6500, vec!["io.write/1"]),
    ] {
        let (_, packed) =
            pack_payload(&examples().join(name), &quiet(), PackOptions::default()).expect(name);
        assert!(packed.bytes.len() <= most, "{name} has grown to {} B", packed.bytes.len());
        let report = inspect(&packed.bytes).unwrap();
        let mut named: Vec<_> = report.import_names().filter_map(|(_, name)| name).collect();
        named.sort_unstable();
        assert_eq!(named, imports, "{name}");
    }
}

#[test]
#[ignore = "builds the core library"]
fn a_package_outside_the_repository_is_built() {
    let dir = tempfile::Builder::new().prefix("a payload ").tempdir().unwrap();
    let sdk = examples().join("..").canonicalize().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    write(
        "Cargo.toml",
        &format!(
            "[package]\nname = \"away\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
             [dependencies]\npayload-sdk = {{ path = {sdk:?} }}\n[workspace]\n"
        ),
    );
    let program = |body: &str| {
        format!(
            "#![cfg_attr(target_os = \"none\", no_std, no_main)]\n\
             use payload_sdk::*;\nentry!(run);\n\
             fn run(k: &Kernel) -> Result<(), Error> {{ {body} }}\n"
        )
    };
    write("src/main.rs", &program("k.output().write_all(b\"away\")"));
    let options = BuildOptions { target_dir: Some(dir.path().join("out put")), ..quiet() };
    let (built, packed) = pack_payload(dir.path(), &options, PackOptions::default()).unwrap();
    assert_eq!(built.name, "away");
    assert!(packed.bytes.windows(4).any(|w| w == b"away"));

    write("src/main.rs", &program("nonsense"));
    let error = build_payload(dir.path(), &options).unwrap_err().to_string();
    assert!(error.contains("cannot find value `nonsense`"), "{error}");

    write("src/main.rs", "#![no_std]\n#![no_main]\nuse payload_sdk as _;\n");
    let error = build_payload(dir.path(), &options).unwrap_err().to_string();
    assert!(error.contains("this payload has no entry"), "{error}");
}

#[test]
fn what_is_no_package_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let error = build_payload(dir.path(), &quiet()).unwrap_err();
    assert!(matches!(error, BuildError::NoPackage(_)), "{error}");
    std::fs::write(dir.path().join("Cargo.toml"), "[package]\nname = 3\n").unwrap();
    let error = build_payload(dir.path(), &quiet()).unwrap_err();
    assert!(matches!(error, BuildError::Metadata(_)), "{error}");
}
