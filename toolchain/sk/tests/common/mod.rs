//! `sk` as it was built, and what it says.
#![allow(dead_code, reason = "no test uses all of it")]

use std::process::Output;

use assert_cmd::Command;

/// `sk` with a home of its own and nothing of the caller's settings.
pub(crate) struct Sk {
    dir: tempfile::TempDir,
}

impl Sk {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sk"));
        for name in ["SK_BOARD", "SK_KERNEL", "SK_FIRMWARE", "SK_CC", "CARGO_TARGET_DIR"] {
            command.env_remove(name);
        }
        command
            .current_dir(&self.dir)
            .env("SK_HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("TERM", "dumb");
        Said::of(command.args(args).output().unwrap())
    }
}

pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: i32,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            out: text(output.stdout),
            err: text(output.stderr),
            code: output.status.code().unwrap(),
        }
    }
}
