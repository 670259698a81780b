//! The SDK for payloads, as a project outside the repository gets it.
//!
//! It is on no registry. An `sk` that was built in a checkout which is still
//! there names the checkout: what is changed there is used at once. Any other
//! writes the sources, which are compiled into it, beside the project: it can
//! be built without network, and stays as it is when `sk` is updated.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use toml::{Table, Value};

static CRATES: [(&str, &str, Dir<'_>); 3] = [
    (
        "payload-sdk",
        include_str!("../../../payload-sdk/Cargo.toml"),
        include_dir!("$CARGO_MANIFEST_DIR/../../payload-sdk/src"),
    ),
    (
        "sk-abi",
        include_str!("../../../kernel/abi/Cargo.toml"),
        include_dir!("$CARGO_MANIFEST_DIR/../../kernel/abi/src"),
    ),
    (
        "sk-mem",
        include_str!("../../../kernel/mem/Cargo.toml"),
        include_dir!("$CARGO_MANIFEST_DIR/../../kernel/mem/src"),
    ),
];
const WORKSPACE: &str = include_str!("../../../Cargo.toml");

/// Folder of the SDK's package in the checkout that this program was built in,
/// if it is still there.
pub(crate) fn checkout() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let sdk = root.join("payload-sdk");
    (root.join("Cargo.toml").is_file() && sdk.join("Cargo.toml").is_file()).then_some(sdk)
}

/// The files of the SDK and of what it needs, by their paths below one folder.
pub(crate) fn sources() -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = vec![
        ("LICENSE-MIT".into(), include_bytes!("../../../LICENSE-MIT").to_vec()),
        ("LICENSE-APACHE".into(), include_bytes!("../../../LICENSE-APACHE").to_vec()),
    ];
    for (name, manifest, src) in &CRATES {
        let folder = Path::new(name);
        all.push((folder.join("Cargo.toml"), standalone(manifest).into_bytes()));
        let mut folders = vec![src];
        while let Some(dir) = folders.pop() {
            folders.extend(dir.dirs());
            for file in dir.files() {
                all.push((folder.join("src").join(file.path()), file.contents().to_vec()));
            }
        }
    }
    all
}

/// A manifest without its workspace: what it takes from there is written out,
/// and the packages it needs are beside it.
fn standalone(manifest: &str) -> String {
    let parse = |text: &str| text.parse::<Table>().expect("cargo has read it when this was built");
    let (mut own, workspace) = (parse(manifest), parse(WORKSPACE));
    let shared = &workspace["workspace"]["package"];
    own.remove("lints");
    own.remove("dev-dependencies");
    if let Some(Value::Table(package)) = own.get_mut("package") {
        for (name, value) in package.iter_mut() {
            if value.get("workspace").is_some() {
                value.clone_from(&shared[name]);
            }
        }
    }
    if let Some(Value::Table(dependencies)) = own.get_mut("dependencies") {
        for (name, value) in dependencies.iter_mut() {
            if let Value::Table(how) = value
                && how.remove("workspace").is_some()
            {
                how.insert("path".into(), format!("../{name}").into());
            }
        }
    }
    own.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_workspace_remains() {
        for (path, bytes) in sources() {
            if !path.ends_with("Cargo.toml") {
                continue;
            }
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains("workspace"), "{}:\n{text}", path.display());
            let manifest: Table = text.parse().unwrap();
            let Some(Value::Table(needed)) = manifest.get("dependencies") else { continue };
            for (name, how) in needed {
                // One that is not here would have to come from a registry.
                assert!(CRATES.iter().any(|(own, ..)| own == name), "{name} is not compiled in");
                assert_eq!(how["path"].as_str(), Some(format!("../{name}").as_str()));
            }
        }
    }

    #[test]
    fn the_sources_are_those_of_the_repository() {
        let root = checkout().expect("tests run in a checkout");
        for (name, folder) in [
            ("payload-sdk", "src"),
            ("sk-abi", "../kernel/abi/src"),
            ("sk-mem", "../kernel/mem/src"),
        ] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let own = Path::new(name).join("src").join(path.file_name().unwrap());
                let have = sources().into_iter().find(|(path, _)| *path == own);
                assert_eq!(
                    have.map(|(_, bytes)| bytes),
                    std::fs::read(&path).ok(),
                    "{}",
                    own.display()
                );
            }
        }
    }
}
