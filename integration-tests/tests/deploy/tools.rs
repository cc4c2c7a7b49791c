//! The programs that look at files: kubectl, linters, and Python's YAML reader.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// What a program said.
pub(super) struct Answer {
    pub(super) ok: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Answer {
    /// Both outputs, for messages.
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// The top of the source tree.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text of a file of the source tree.
pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A program that `make test` installs beside its Python.
pub(super) fn tool(name: &str) -> Command {
    let python = std::env::var_os("GIGAPI_PYTHON").expect("GIGAPI_PYTHON is not set; run `make test`");
    let program = Path::new(&python).with_file_name(name);
    assert!(program.is_file(), "{} is missing; run `make test`, which installs it", program.display());
    Command::new(program)
}

pub(super) fn run(command: &mut Command) -> Answer {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Answer { ok: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// The documents of a YAML text.
pub(super) fn yaml(text: &str) -> Vec<Value> {
    let script = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";
    let (_folder, file) = file("documents.yaml", text);
    let answer = run(tool("python").args(["-c", script]).arg(file));
    assert!(answer.ok, "{}", answer.stderr);
    serde_json::from_str(&answer.stdout).unwrap()
}

/// A file of its own with that text.
pub(super) fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// The manifests that a kustomization makes.
pub(super) fn kustomize(folder: &Path) -> String {
    let answer = run(tool("kubectl").arg("kustomize").arg(folder));
    assert!(answer.ok, "{}: {}", folder.display(), answer.stderr);
    answer.stdout
}

/// The manifests that an overlay outside the tree makes, which names folders as one in `overlays/` would.
pub(super) fn overlay(text: &str) -> String {
    let (folder, path) = file("kustomization.yaml", "");
    // kustomize takes relative paths only, and from where a link leads.
    let here = folder.path().canonicalize().unwrap();
    let up = "../".repeat(here.components().count() - 1);
    let overlays = root().join("deploy/kustomize/overlays").canonicalize().unwrap();
    let kustomize_folder = overlays.parent().unwrap();
    let relative = |target: &Path| format!("{up}{}", target.strip_prefix("/").unwrap().display());
    let text = text
        .replace("../../", &format!("{}/", relative(kustomize_folder)))
        .replace("- ../distributed", &format!("- {}/distributed", relative(&overlays)));
    std::fs::write(path, text).unwrap();
    kustomize(&here)
}
