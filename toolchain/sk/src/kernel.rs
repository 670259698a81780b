//! Where kernel.img is.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

const IMAGE: &str = "kernel.img";

/// The image to boot: what was named (`--kernel`, `$SK_KERNEL`), else the one
/// built in this repository or one above, else the installed one.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        let path = if path.is_dir() { path.join(IMAGE) } else { path.to_path_buf() };
        return match path.metadata() {
            Ok(_) => Ok(path),
            Err(error) => Err(Failure::file(&path, &error)),
        };
    }
    let places = places(
        std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from),
        std::env::current_dir().ok(),
        directories::BaseDirs::new().map(|dirs| dirs.data_dir().to_path_buf()),
    );
    if let Some(found) = places.iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    Err(Failure::new("no kernel.img was found")
        .help("build it with `cargo xtask build`, or name it: --kernel FILE"))
}

fn places(target: Option<PathBuf>, here: Option<PathBuf>, data: Option<PathBuf>) -> Vec<PathBuf> {
    let upwards = here.iter().flat_map(|dir| dir.ancestors()).map(|dir| dir.join("target"));
    let mut all: Vec<PathBuf> = target.into_iter().chain(upwards).chain(data).collect();
    for place in &mut all {
        place.push("serverkernel");
        place.push(IMAGE);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looked_for_upwards_and_then_where_it_is_installed() {
        let places = places(None, Some("/a/b".into()), Some("/home/u/.local/share".into()));
        let expected = [
            "/a/b/target/serverkernel/kernel.img",
            "/a/target/serverkernel/kernel.img",
            "/target/serverkernel/kernel.img",
            "/home/u/.local/share/serverkernel/kernel.img",
        ];
        assert_eq!(places, expected.map(PathBuf::from));
    }

    #[test]
    fn what_is_named_is_taken_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let failure = find(Some(&dir.path().join("none.img"))).unwrap_err();
        assert!(failure.message.contains("none.img"), "{}", failure.message);
        std::fs::write(dir.path().join(IMAGE), b"x").unwrap();
        assert_eq!(find(Some(dir.path())).unwrap(), dir.path().join(IMAGE));
    }
}
