//! `sk new`: a payload's project, ready to be built, tested and run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::{sdk, terminal};

const MAIN_RS: &str = include_str!("../../templates/main.rs");
const MAIN_C: &str = include_str!("../../templates/main.c");
/// `sk build` compiles `core` with the payload, so the compiler is the one that
/// this `sk` was tested with.
const TOOLCHAIN: &str = include_str!("../../../../rust-toolchain.toml");
/// Where the SDK goes when it is copied.
const SDK: &str = "sdk";
/// Names that mean something else to the compiler or are in the SDK.
const TAKEN: [&str; 8] =
    ["alloc", "core", "payload-sdk", "payload_sdk", "sk-abi", "sk-mem", "std", "test"];

/// Makes a project for a payload, with a program that runs and its test
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  sk new wordcount\n  sk new wordcount --lang c\n\n\
                        In the folder: `sk run . < FILE` builds it and runs it on a board, `cargo test` tests it on this\n\
                        machine against a fake kernel. The SDK is on no registry: the project names the checkout that\n\
                        this program was built in, or holds a copy of the sources if there is none (or with --copy-sdk).")]
pub(crate) struct Args {
    /// The project's folder, which must not exist; its last part is the name
    name: PathBuf,
    /// Language
    #[arg(long, value_enum, default_value = "rust")]
    lang: Language,
    /// Rust: put a copy of the SDK into the project, so that it depends on
    /// nothing else
    #[arg(long)]
    copy_sdk: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    /// A package for cargo
    Rust,
    /// A file for gcc-arm-none-eabi
    C,
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let name = check(&self.name)?;
        if self.name.exists() {
            return Err(Failure::new(format!("{} exists", self.name.display()))
                .help("choose another name, or remove it"));
        }
        let (files, next) = match self.lang {
            Language::Rust => (
                self.rust(name)?,
                format!("cd {0} && cargo test && sk run . < FILE", self.name.display()),
            ),
            Language::C => {
                (c(name), format!("cd {0} && sk run main.c < FILE", self.name.display()))
            }
        };
        for (path, bytes) in files {
            let path = self.name.join(path);
            let failed = |error| Failure::file(&path, &error);
            fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(failed)?;
            fs::write(&path, bytes).map_err(failed)?;
        }
        terminal::say(&format!("next: {next}"));
        terminal::data(&format!("{}\n", self.name.display()))
    }

    fn rust(&self, name: &str) -> Result<Vec<(PathBuf, Vec<u8>)>, Failure> {
        let mut files = Vec::new();
        let place = match sdk::checkout().filter(|_| !self.copy_sdk) {
            Some(place) => place,
            None => {
                files.extend(
                    sdk::sources()
                        .into_iter()
                        .map(|(path, bytes)| (Path::new(SDK).join(path), bytes)),
                );
                Path::new(SDK).join("payload-sdk")
            }
        };
        let text = place.to_str().ok_or_else(|| {
            Failure::new(format!("{} is no UTF-8, which Cargo.toml must be", place.display()))
                .help("copy the SDK into the project: --copy-sdk")
        })?;
        for (path, text) in [
            ("Cargo.toml", manifest(name, text)),
            ("src/main.rs", MAIN_RS.into()),
            ("rust-toolchain.toml", TOOLCHAIN.into()),
            ("README.md", readme_rust(name, text)),
            (".gitignore", "/target\n*.skp\n".into()),
        ] {
            files.push((path.into(), text.into_bytes()));
        }
        Ok(files)
    }
}

/// The name a folder gives its project.
fn check(folder: &Path) -> Result<&str, Failure> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let fine = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !fine {
        return Err(Failure::new(format!("'{name}' is no name for a project"))
            .help("use letters, digits, '-' or '_', a letter first"));
    }
    if TAKEN.contains(&name) {
        return Err(Failure::new(format!(
            "'{name}' is the name of something a payload is built with"
        ))
        .help("choose another name"));
    }
    Ok(name)
}

fn manifest(name: &str, sdk: &str) -> String {
    let sdk = toml::Value::from(sdk);
    format!(
        "\
[package]
name = \"{name}\"
version = \"0.1.0\"
edition = \"2024\"
publish = false

[dependencies]
payload-sdk = {{ path = {sdk} }}

# Not part of a workspace in a folder above.
[workspace]
"
    )
}

fn readme_rust(name: &str, sdk: &str) -> String {
    format!(
        "\
# {name}

A payload for serverkernel boards.

```sh
cargo test                     # on this machine, against a fake kernel
sk build . -o {name}.skp       # for a board; needs: rustup component add rust-src
sk run . < FILE                # build, send, run; output to stdout, exit code through
```

`src/main.rs` is all there is. The SDK is `{sdk}`.
"
    )
}

fn c(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let readme = format!(
        "\
# {name}

A payload in C for serverkernel boards.

```sh
sk build main.c -o {name}.skp  # for a board; needs gcc-arm-none-eabi
sk run main.c < FILE           # build, send, run; output to stdout, exit code through
```

`serverkernel.h` (services) and `sk_text.h` (text, numbers) come with `sk`, which writes them to
`$XDG_CACHE_HOME/serverkernel` and names the folder to the compiler. There is no C library.
"
    );
    vec![
        ("main.c".into(), MAIN_C.into()),
        ("README.md".into(), readme.into_bytes()),
        (".gitignore".into(), "*.skp\n*.elf\n".into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(check(Path::new("a/b/word-count_2")).unwrap(), "word-count_2");
        for bad in ["", ".", "..", "2fast", "-x", "a b", "a/ä", "core", "payload-sdk", "sk-abi"] {
            assert!(check(Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_is_quoted() {
        assert!(
            manifest("x", "/a \"b\"/c").contains(r#"path = '/a "b"/c'"#),
            "{}",
            manifest("x", "/a \"b\"/c")
        );
    }
}
