//! The command as a user runs it, in an empty folder.
#![allow(dead_code)] // each test program uses some of it

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder of its own, gone when dropped.
pub struct Here(tempfile::TempDir);

impl Here {
    pub fn new() -> Here {
        Here(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command with these words, in this folder, as no launcher's child.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_physalia"));
        command.args(words.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        for name in ["PHYSALIA_RANKS", "PHYSALIA_THREADS", "PHYSALIA_PIN"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    pub fn good(&self, words: &str) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(0), "{words}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn bad(&self, words: &str, code: i32) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(code), "{words}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub fn report(&self, words: &str) -> Value {
        serde_json::from_str(&self.good(&format!("{words} --json -"))).unwrap()
    }

    /// Reads of the demonstration.
    pub fn reads(&self) {
        std::fs::write(self.path("reads.fq"), physalia_apps::demo::reads(1)).unwrap();
    }
}
