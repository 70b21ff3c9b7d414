//! The rules of the repository that no compiler checks: who may know whom, how long a file may be,
//! what may not stand in one.

use std::path::{Path, PathBuf};

/// The most lines of a source file, and of a file of tests.
const LINES_MAX: (usize, usize) = (400, 500);
const ARCHITECTURE_LINES_MAX: usize = 150;

struct Source {
    /// From the repository's root, such as `src/store/mod.rs`.
    path: String,
    text: String,
}

impl Source {
    /// The text before its tests, without comments: what is said there is no use.
    fn code(&self) -> String {
        let code = self.text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder of the repository, however deep.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a file");
                let path = path.strip_prefix(root()).expect("below the root").display().to_string();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "{folder}");
    found
}

/// Everything that the service and its tests are made of.
fn everything() -> Vec<Source> {
    ["src", "rest/src", "rest-build", "migrations/src", "tests"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Whether `code` has `word` as a path or a name, not as part of a longer one.
fn uses(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(is_part);
        let after = code[at + word.len()..].chars().next().is_some_and(is_part);
        !before && !after
    })
}

/// Whether `code` reaches the module `name` of this crate.
fn reaches(code: &str, name: &str) -> bool {
    let flat: String = code.split_whitespace().collect();
    let grouped = flat.split("usecrate::{").skip(1).filter_map(|rest| rest.split(';').next());
    flat.contains(&format!("crate::{name}::"))
        || flat.contains(&format!("crate::{name};"))
        || flat.contains(&format!("usecrate::{name}as"))
        || grouped.into_iter().any(|group| uses(group, name))
}

#[test]
fn every_module_says_what_it_is() {
    for source in everything() {
        assert!(source.text.starts_with("//! "), "{} does not open with //!", source.path);
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    for source in everything() {
        let lines = source.text.lines().count();
        let most = if is_test(&source.path) { LINES_MAX.1 } else { LINES_MAX.0 };
        assert!(lines <= most, "{} has {lines} lines, more than {most}: split it", source.path);
    }
}

#[test]
fn modules_know_only_whom_they_may() {
    let table: [(&str, &[&str]); 7] = [
        ("src/store", &["pb", "layers", "gateway", "service", "server", "auth::scope", "rpc"]),
        ("src/service", &["layers", "gateway", "server", "connections", "cli"]),
        ("src/layers", &["service", "gateway", "server", "pb"]),
        ("src/usage", &["layers", "gateway", "service", "server", "connections", "http", "pb"]),
        ("src/gateway", &["service", "server", "pb"]),
        ("src/limits", &["layers", "service", "gateway", "server", "store", "pb", "auth::caller"]),
        ("migrations/src", &["orqit"]),
    ];
    for (folder, forbidden) in table {
        for source in sources(folder) {
            let code = source.code();
            for name in forbidden {
                assert!(!reaches(&code, name), "{} uses {name}", source.path);
            }
            if ["src/service", "src/store", "src/limits"].contains(&folder) {
                assert!(!code.contains("http::"), "{} uses http", source.path);
            }
        }
    }
}

#[test]
fn sea_orm_stays_in_the_store() {
    for source in sources("src").iter().filter(|source| !source.path.starts_with("src/store/")) {
        let code = source.code();
        for word in ["sea_orm", "sqlx", "entity"] {
            assert!(!uses(&code, word), "{} uses {word}", source.path);
        }
    }
    let store = std::fs::read_to_string(root().join("src/store/mod.rs")).expect("the store");
    assert!(store.contains("\nmod entity;"), "the entities are private");
}

#[test]
fn nothing_unfinished_and_no_unwrap_stands_in_the_code() {
    for source in everything() {
        let code = if is_test(&source.path) { String::new() } else { source.code() };
        assert!(!code.contains(".unwrap()"), "{} unwraps: expect, and say why", source.path);
        // Put together here, so that this file does not find itself.
        for word in ["todo", "dbg", "unimplemented"].map(|name| format!("{name}!(")) {
            assert!(!source.text.contains(&word), "{} has {word}…)", source.path);
        }
        for folder in ["home", "root", "Users"].map(|name| format!("/{name}/")) {
            assert!(!source.text.contains(&folder), "{} has a path of a machine", source.path);
        }
    }
}

#[test]
fn the_plans_of_every_noun_are_walked() {
    let walked = ["query_plans.rs", "noun_plans.rs"]
        .map(|name| std::fs::read_to_string(root().join("tests/it").join(name)).expect("text"))
        .concat();
    for source in sources("src/store") {
        for of in source.code().split("impl Noun for ").skip(1) {
            let noun = of.split(' ').next().unwrap_or_default();
            let walk = format!("assert_no_scan::<{noun}>");
            assert!(walked.contains(&walk), "no test walks the lists of {noun}");
        }
    }
}

#[test]
fn every_method_of_a_service_accepts_its_request_first() {
    for source in sources("src/service") {
        let code = source.code();
        // Each of them answers a tonic::Request, and ends where the next begins.
        for method in code.split("    async fn ").skip(1) {
            let name = method.split('(').next().unwrap_or_default();
            if method.contains("Request<pb::") {
                let accepts = ["accept(request", "accept_update(request", "accept_public(request"];
                let accepts = accepts.iter().any(|call| uses(method, call));
                assert!(accepts, "{name} in {} does not accept(request, …)", source.path);
            }
        }
    }
}

#[test]
fn who_comes_here_finds_what_to_read() {
    for name in ["README.md", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "LICENSE"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap_or_default();
        assert!(!text.trim().is_empty(), "{name} is missing");
        if name == "ARCHITECTURE.md" {
            let lines = text.lines().count();
            assert!(lines <= ARCHITECTURE_LINES_MAX, "{name} has {lines} lines");
        }
    }
}
