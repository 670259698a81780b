//! The program as its users meet it, where no board is needed: help, errors,
//! exit codes, and which stream says what.

mod common;

use std::path::Path;

use common::Sk;

/// A file that begins like an ELF file for ARM and is none.
const BROKEN_ELF: &[u8] = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0";
/// `loop {}`.
const LOOP: &[u8] = b"K\x11\x00\x04\xfe\xff\xff\xea";

#[test]
fn every_verb_shows_an_example() {
    let sk = Sk::new();
    let top = sk.run(&["--help"]);
    assert_eq!((top.code, top.err.as_str()), (0, ""));
    for verb in [
        "new", "build", "pack", "inspect", "image", "emu", "scan", "info", "ping", "run", "kill",
        "version",
    ] {
        assert!(top.out.contains(&format!("\n  {verb} ")), "{verb} is not listed:\n{}", top.out);
        let help = sk.run(&[verb, "--help"]);
        assert_eq!(help.code, 0, "{verb}");
        assert!(
            help.out.contains("Example") && help.out.contains(&format!("  sk {verb}")),
            "{verb}:\n{}",
            help.out
        );
    }
}

#[test]
fn the_exit_codes_are_in_the_help_of_run() {
    let help = Sk::new().run(&["run", "--help"]).out;
    for code in ["124", "125", "126", "127", "130", "132", "139"] {
        assert!(help.contains(code), "{code}");
    }
}

#[test]
fn version_is_data() {
    let said = Sk::new().run(&["version"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(
        said.out.starts_with(concat!("sk ", env!("CARGO_PKG_VERSION"), "\nprotocol SKP/1\n")),
        "{}",
        said.out
    );
}

#[test]
fn a_command_line_that_is_not_understood() {
    let sk = Sk::new();
    assert_eq!(sk.run(&["scan", "--bogus"]).code, 2);
    assert_eq!(sk.run(&["bogus"]).code, 2);
    // 2 may be a payload's own code.
    assert_eq!(sk.run(&["run"]).code, 125);
    let said = sk.run(&["run", "--timeout", "10", "x.skp"]);
    assert_eq!(said.code, 125);
    assert!(said.err.contains("'10' has no unit: write 10s or 10ms"), "{}", said.err);
    let said = sk.run(&["run", "--mem", "4T", "x.skp"]);
    assert!(said.err.contains("'T' is no unit of size"), "{}", said.err);
}

#[test]
fn a_payload_that_is_not_there_is_127() {
    let said = Sk::new().run(&["run", "nowhere.skp"]);
    assert_eq!(said.code, 127);
    assert_eq!(
        said.err,
        "error: nowhere.skp: No such file or directory (os error 2)\n  help: name a payload image (.skp), \
         a linked ELF file, a source file in C, or the folder of a payload's Cargo.toml\n"
    );
    assert_eq!(said.out, "");
}

#[test]
fn a_folder_that_is_no_package_is_127() {
    let sk = Sk::new();
    std::fs::create_dir(sk.path("empty")).unwrap();
    let said = sk.run(&["run", "empty"]);
    assert_eq!(said.code, 127);
    assert!(said.err.contains("has no Cargo.toml"), "{}", said.err);
    assert_eq!(sk.run(&["build", "empty"]).code, 1);
}

#[test]
fn a_file_that_is_no_payload_is_126() {
    let sk = Sk::new();
    let elf = sk.file("broken.elf", BROKEN_ELF);
    let said = sk.run(&["run", &elf]);
    assert_eq!(said.code, 126, "{}", said.err);
    assert!(said.err.starts_with("error: "), "{}", said.err);
}

#[test]
fn no_board_is_127_and_says_what_to_do() {
    let sk = Sk::new();
    let image = sk.file("loop.skp", LOOP);
    let said = sk.run(&["run", "--board", "127.0.0.1:9", &image]);
    assert_eq!(said.code, 127);
    assert!(said.err.starts_with("error: no board at 127.0.0.1:9 was found in 3."), "{}", said.err);
    assert!(said.err.contains("\n  help: is it powered"), "{}", said.err);
    assert_eq!(said.out, "");
    // Other verbs know failure, not kinds of it.
    assert_eq!(sk.run(&["info", "--board", "127.0.0.1:9"]).code, 1);
}

#[test]
fn an_input_that_is_not_there_is_named() {
    let sk = Sk::new();
    let image = sk.file("loop.skp", LOOP);
    let said = sk.run(&["run", "--input", "none.bin", &image]);
    assert_eq!(said.code, 125);
    assert!(said.err.starts_with("error: none.bin: No such file"), "{}", said.err);
    let said = sk.run(&["run", "--output", "no/such/folder", &image]);
    assert!(said.err.starts_with("error: no/such/folder: No such file"), "{}", said.err);
}

#[test]
fn an_empty_scan_is_an_empty_list() {
    let sk = Sk::new();
    let said = sk.run(&["scan", "--timeout", "50ms", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with('['), "{}", said.out);
    let said = sk.run(&["scan", "--timeout", "50ms", "--address", "no.such.host.invalid"]);
    assert_eq!(said.code, 0, "one bad address must not end a scan");
    assert!(said.err.contains("no.such.host.invalid"), "{}", said.err);
    assert!(said.out.starts_with("NAME  "), "{}", said.out);
}

#[test]
fn a_damaged_record_is_a_warning() {
    let sk = Sk::new();
    std::fs::create_dir_all(sk.path("home/boards")).unwrap();
    sk.file("home/boards/bad.toml", b"name = 3");
    let said = sk.run(&["scan", "--timeout", "50ms"]);
    assert_eq!(said.code, 0);
    assert!(said.err.starts_with("warning: ") && said.err.contains("bad.toml"), "{}", said.err);
}

#[test]
fn emu_without_a_kernel_says_how_to_get_one() {
    let said = Sk::new().run(&["emu"]);
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: no kernel.img was found\n  help: build it with `cargo xtask build`, or name it: --kernel FILE\n"
    );
}

#[test]
fn emu_with_a_bad_name_or_address() {
    let sk = Sk::new();
    let kernel = sk.file("kernel.img", b"x");
    let said = sk.run(&["emu", "--kernel", &kernel, "--name", "a name"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("'a name' is no board name"), "{}", said.err);
    let said = sk.run(&["emu", "--static", "10.0.2.15"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("not of the form 10.0.2.15/24"), "{}", said.err);
}

#[test]
fn inspect_prints_sizes_and_refuses_rubbish() {
    let sk = Sk::new();
    let image = sk.file("loop.skp", LOOP);
    let said = sk.run(&["inspect", &image]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.contains("header") && said.out.contains("8 B"), "{}", said.out);
    let rubbish = sk.file("rubbish", b"#!/bin/sh\n");
    let said = sk.run(&["inspect", &rubbish]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("boards would refuse it"), "{}", said.err);
    assert_eq!(said.out, "");
}

#[test]
fn pack_names_the_file_it_refuses() {
    let sk = Sk::new();
    let elf = sk.file("broken.elf", BROKEN_ELF);
    let out = sk.path("out.skp");
    let said = sk.run(&["pack", &elf, "-o", &out]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("broken.elf: "), "{}", said.err);
    assert!(!Path::new(&out).exists());
}

#[test]
fn c_is_built_where_one_stands() {
    let sk = Sk::new();
    std::fs::create_dir(sk.path("src")).unwrap();
    sk.file(
        "src/main.c",
        b"int twice(int); int main(int n, char **v) { return v ? twice(n) : 0; }",
    );
    sk.file("src/twice.c", b"int twice(int n) { return 2 * n; }");
    let said = sk.run(&["build", "src/main.c", "src/twice.c"]);
    assert_eq!((said.out.as_str(), said.code), ("main.skp\n", 0), "{}", said.err);
    assert!(said.err.starts_with("main: ") && said.err.ends_with(" bytes\n"), "{}", said.err);
    for file in ["main.skp", "main.elf"] {
        assert!(Path::new(&sk.path(file)).is_file(), "{file}");
    }
    let said = sk.run(&["build", "-q", "src/main.c", "src/twice.c", "-o", "src/x.bin"]);
    assert_eq!((said.out.as_str(), said.err.as_str(), said.code), ("src/x.bin\n", "", 0));
    assert_eq!(sk.run(&["inspect", "src/x.bin"]).code, 0);
}

#[test]
fn c_that_is_not_built_is_explained() {
    let sk = Sk::new();
    sk.file("main.c", b"int main(void) { return f(); }");
    for (args, sentence) in [
        (&["main.c"][..], "the payload was not built"),
        (&["main.c", "gone.c"], "gone.c: No such file"),
        (&["main.c", "."], ". is not a source file in C (.c)"),
        (&["main.c", "--bin", "x"], "--bin and --features are for packages"),
        (&[".", "-D", "X"], "-I and -D are for payloads in C"),
    ] {
        let said = sk.run(&[&["build"], args].concat());
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{args:?}");
        assert!(said.err.contains(sentence), "{args:?}: {}", said.err);
    }
    let said = sk.run(&["run", "main.c"]);
    assert_eq!(said.code, 125, "{}", said.err);
    assert_eq!(sk.run(&["run", "gone.c"]).code, 127);
}
