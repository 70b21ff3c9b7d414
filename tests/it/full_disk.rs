//! A disk that is really full, under a real process: a small file system of the test's own, on
//! machines where it may mount one.

use std::path::Path;
use std::process::Stdio;

use http::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::cli::Machine;
use crate::storage::is_ready;
use crate::support::database::{TestDatabase, is_postgres};
use crate::support::requests::vpn_with;
use crate::support::rest::{Answer, Rest, send};

const SMALL: &str = "size=4m";
const LARGE: &str = "size=64m";
/// More tickets than fit into the small one.
const TRIED_MAX: usize = 5_000;

/// A file system in memory, which goes when this is dropped.
struct Disk(TempDir);

impl Disk {
    /// None where the test may not mount one.
    async fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        mount(&["-t", "tmpfs", "-o", SMALL, "orqit-test"], folder.path())
            .await
            .then(|| Self(folder))
    }

    async fn grow(&self) {
        assert!(mount(&["-o", &format!("remount,{LARGE}")], self.0.path()).await, "grown");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted =
            std::process::Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "unmounted");
    }
}

async fn mount(arguments: &[&str], folder: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount.args(arguments).arg(folder).stdout(Stdio::null()).stderr(Stdio::null());
    mount.status().await.is_ok_and(|status| status.success())
}

async fn create(rest: &Rest, key: &str) -> Answer {
    let body = vpn_with(json!({"title": key, "description": "x".repeat(2_000)}));
    send(rest.request(Method::POST, "/tickets").header("idempotency-key", key).json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_forgotten_when_there_is_room_again() {
    if is_postgres() {
        return;
    }
    let Some(disk) = Disk::mount().await else { return };
    let machine = Machine::over(TestDatabase::at(&disk.0.path().join("orqit.db")));
    let mut serving = machine.serve(&[]).await;
    let key = machine.unlimited_key("admin").await;
    let rest = Rest::new(serving.url.clone(), &key);
    let mut stored = Vec::new();
    let mut refused = None;
    for number in 0..TRIED_MAX {
        let title = format!("{number}");
        let answer = create(&rest, &title).await;
        if answer.status != 201 {
            refused = Some((title, answer));
            break;
        }
        stored.push((title, answer.body));
    }
    let (title, answer) = refused.expect("the disk is full at some time");
    answer.error(503, "SERVICE_UNAVAILABLE");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(is_ready(&rest, false).await);
    rest.get("/tickets/1").await.data(200);

    disk.grow().await;
    rest.patch("/tickets/999999", json!({"title": "A"})).await.error(404, "TICKET_NOT_FOUND");
    let answer = create(&rest, &title).await;
    answer.data(201);
    stored.push((title, answer.body));
    assert!(is_ready(&rest, true).await);
    // The operator's commands find the database free, and what they do holds.
    Machine::printed(machine.run(&["key", "revoke", &key[4..12]]).await);
    rest.get("/tickets/1").await.error(401, "INVALID_API_KEY");

    serving.child.kill().await.expect("killed");
    let serving = machine.serve(&[]).await;
    let rest = Rest::new(serving.url.clone(), &key);
    rest.get("/tickets/1").await.error(401, "INVALID_API_KEY");
    let rest = Rest::new(serving.url.clone(), &machine.unlimited_key("admin").await);
    let page = rest.get("/tickets?perPage=1").await;
    assert_eq!(page.json()["meta"]["totalCount"], stored.len());
    for (title, body) in &stored {
        let id =
            serde_json::from_slice::<serde_json::Value>(body).expect("JSON")["data"]["id"].clone();
        assert_eq!(rest.get(&format!("/tickets/{id}")).await.data(200)["title"], **title);
    }
    serving.stop().await;
}
