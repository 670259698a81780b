//! Payloads in C: what the compiler and GNU ld make of them, and the packer of
//! that. Needs the package gcc-arm-none-eabi, except for the golden file.

use sk_pack::{BuildError, COptions, PackOptions, build_c, inspect, pack, pack_c};
use std::fs;
use std::path::{Path, PathBuf};

/// An image and the ELF file it is made of. Do not change this test: an image
/// made long ago must still be what this version makes.
#[test]
fn the_golden_image() {
    let packed = pack(include_bytes!("golden/small.elf"), PackOptions::default()).unwrap();
    assert_eq!(packed.bytes, include_bytes!("golden/small.image"));
    let report = inspect(&packed.bytes).unwrap();
    let needs: Vec<_> = report.import_names().map(|(_, name)| name).collect();
    assert_eq!(needs, [Some("io.write/1")]);
    // Two names and two functions.
    assert_eq!((report.relocs.len(), report.sizes.stack, report.entry), (4, 8192, 0));
}

struct Bench {
    dir: tempfile::TempDir,
    options: COptions,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("a payload ").tempdir().unwrap();
        let cache_dir = dir.path().join("ca che");
        let options = COptions { cache_dir, quiet: true, ..COptions::default() };
        Self { dir, options }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn pack(&self, sources: &[PathBuf]) -> Result<Vec<u8>, BuildError> {
        let elf = self.dir.path().join("out put/payload.elf");
        Ok(pack_c(sources, &elf, &self.options, PackOptions::default())?.1.bytes)
    }

    /// The sentence a program is refused with.
    fn refused(&self, text: &str) -> String {
        let source = self.file("refused.c", &format!("#include <serverkernel.h>\n{text}\n"));
        self.pack(&[source]).unwrap_err().to_string()
    }
}

#[test]
fn several_files_with_everything_that_holds_an_address() {
    let bench = Bench::new();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/payloads");
    let image = bench.pack(&["position.c", "position_part.c"].map(|n| dir.join(n))).unwrap();
    let report = inspect(&image).unwrap();
    // Four names, five places, three links, four functions; what goes through
    // the GOT besides is the compiler's affair.
    assert!(report.relocs.len() >= 16, "{report}");
    assert!(report.sizes.bss >= 64 * 1024 && report.hard_float, "{report}");
    assert!(image.len() < 4096, "{report}");
}

#[test]
fn the_smallest_program_is_small() {
    let bench = Bench::new();
    let spin = bench.file("spin.c", "int main(void) { for (;;) ; }");
    let image = bench.pack(&[spin]).unwrap();
    let report = inspect(&image).unwrap();
    assert!(image.len() <= 280, "{report}");
    assert_eq!((report.relocs.len(), report.imports.len()), (0, 0), "{report}");
}

#[test]
fn headers_and_macros_are_found() {
    let mut bench = Bench::new();
    fs::create_dir(bench.dir.path().join("in clude")).unwrap();
    bench.file("in clude/far.h", "static const char text[] = TEXT;");
    bench.file("near.h", "#include <far.h>");
    let source =
        "#include <sk_text.h>\n#include \"near.h\"\nint main(void) { sk_puts(text); return N; }";
    let source = bench.file("main.c", source);
    bench.options.include = vec![bench.dir.path().join("in clude")];
    bench.options.define = vec!["N".into(), "TEXT=\"macro, with text\"".into()];
    let image = bench.pack(&[source]).unwrap();
    assert!(image.windows(16).any(|w| w == b"macro, with text"));
}

#[test]
fn what_cannot_be_built_is_said() {
    let mut bench = Bench::new();
    let is = |said: String, words: &str| assert!(said.contains(words), "{said}");
    is(bench.refused("int main(void) { return x; }"), "'x' undeclared");
    is(bench.refused("int x;"), "undefined reference to `main'");
    is(bench.refused("int main(void) { return f(); }"), "undefined reference to `f'");
    is(bench.refused("SK_STACK(100); int main(void) { return 0; }"), "a multiple of 256 bytes");
    is(
        bench.refused("_Thread_local int n; int main(void) { return n++; }"),
        "cannot have thread-local variables",
    );
    is(
        bench.refused(
            "int n; __attribute__((constructor)) void f(void) { n = 1; } int main(void) { return n; }",
        ),
        "cannot have static constructors",
    );
    is(
        bench.refused(
            "__asm__(\".thumb_func\\n.thumb\\n.type f, %function\\nf: bx lr\\n.arm\"); int f(void);\n\
             int main(void) { return f(); }",
        ),
        "`f` is Thumb code",
    );
    is(
        bench.refused(
            "__attribute__((section(\".fancy\"), used)) int n = 1; int main(void) { return n; }",
        ),
        "section `.fancy` is not placed",
    );
    let here = bench.file("here.c", "");
    let gone = bench.dir.path().join("gone.c");
    is(bench.pack(&[here.clone(), gone]).unwrap_err().to_string(), "gone.c: No such file");
    let other = bench.file("other.rs", "");
    is(bench.pack(&[here.clone(), other]).unwrap_err().to_string(), "other.rs is not a source");
    bench.options.compiler = Some("no-such-gcc".into());
    let error = build_c(&[here], &bench.dir.path().join("x.elf"), &bench.options).unwrap_err();
    assert!(matches!(error, BuildError::Compiler { .. }));
    let said = error.to_string();
    assert!(said.contains("no-such-gcc") && said.contains("gcc-arm-none-eabi"), "{said}");
}
