//! `cargo xtask payloads`: the examples of the SDK, as `sk build` makes them.
//!
//! An example is a folder with a Cargo.toml or a C file in
//! `payload-sdk/examples`; `sk build` is what a user would run on it. Most are
//! there in both languages under one name: `NAME.skp` is made of the folder,
//! `NAME-c.skp` of the C file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::repo::{Repo, run};

/// Builds all examples into target/serverkernel.
pub(crate) fn run_all(repo: &Repo) -> Result<()> {
    let examples = examples(repo)?;
    if examples.is_empty() {
        println!("payload-sdk/examples holds no example");
        return Ok(());
    }
    let sk = build_sk(repo)?;
    for example in &examples {
        build(repo, &sk, example)?;
    }
    Ok(())
}

/// Builds one example by its name and returns the payload's file.
pub(crate) fn run_one(repo: &Repo, name: &str) -> Result<PathBuf> {
    let examples = examples(repo)?;
    let Some(example) = examples.iter().find(|path| artefact(path) == name) else {
        bail!("payload-sdk/examples holds no example named {name}");
    };
    build(repo, &build_sk(repo)?, example)
}

/// Builds `sk` and returns where it is.
pub(crate) fn build_sk(repo: &Repo) -> Result<PathBuf> {
    run(repo.cargo().args(["build", "--quiet", "--package", "sk"]))?;
    Ok(repo.target.join("debug/sk"))
}

fn build(repo: &Repo, sk: &Path, example: &Path) -> Result<PathBuf> {
    let payload = repo.artefacts().join(format!("{}.skp", artefact(example)));
    fs::create_dir_all(repo.artefacts())?;
    let mut command = repo.command(sk);
    command
        .arg("build")
        .arg(example)
        .arg("--output")
        .arg(&payload)
        .env("CARGO_TARGET_DIR", &repo.target);
    run(&mut command)?;
    Ok(payload)
}

fn examples(repo: &Repo) -> Result<Vec<PathBuf>> {
    let dir = repo.root.join("payload-sdk/examples");
    let mut found = Vec::new();
    for file in fs::read_dir(&dir).with_context(|| format!("{}", dir.display()))? {
        let path = file?.path();
        if path.extension().is_some_and(|end| end == "c") || path.join("Cargo.toml").is_file() {
            // Relative to the root, in which commands are run.
            found.push(path.strip_prefix(&repo.root)?.to_path_buf());
        }
    }
    found.sort();
    Ok(found)
}

/// The name of an example and of the file made of it.
fn artefact(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.extension() {
        Some(_) => format!("{name}-c"),
        None => name.into_owned(),
    }
}
