//! `orqit listen` follows and forwards, and goes on where it broke off; and the master key changes
//! while webhooks go on.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::cli::{Machine, Serving};
use crate::support::receiver::Receiver;
use crate::support::requests::vpn_with;
use crate::support::rest::Rest;

/// A machine, the address that its services listen on, and a key.
struct Place {
    machine: Machine,
    address: String,
    key: String,
}

impl Place {
    async fn new() -> Self {
        let machine = Machine::new().await;
        Machine::printed(machine.run(&["workspace", "create", "default"]).await);
        let key = machine.unlimited_key("admin").await;
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address").to_string();
        Self { machine, address, key }
    }

    async fn serve(&self, master_key: Option<&str>) -> Serving {
        let mut command = self.machine.orqit(&["serve"]);
        command.env("ORQIT_LISTEN", &self.address);
        command.env("ORQIT_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8");
        command.env("ORQIT_MASTER_KEY", master_key.unwrap_or(crate::support::server::MASTER_KEY));
        Serving::of(command.stdout(Stdio::piped()).spawn().expect("it runs")).await
    }

    fn rest(&self) -> Rest {
        Rest::new(format!("http://{}", self.address), &self.key)
    }

    fn listen(&self, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut command = self.machine.orqit(&["listen"]);
        command.args(arguments).env("ORQIT_API_KEY", &self.key);
        command.env("ORQIT_URL", format!("http://{}", self.address)).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        (child, lines)
    }
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let next = tokio::time::timeout(Duration::from_secs(30), lines.next_line());
    next.await.expect("soon").expect("text").expect("a line")
}

async fn ticket(rest: &Rest, title: &str) {
    rest.post("/tickets", vpn_with(json!({"title": title}))).await.data(201);
}

#[tokio::test]
async fn listen_shows_forwards_and_survives_a_restart_of_the_service() {
    let place = Place::new().await;
    let serving = place.serve(None).await;
    let receiver = Receiver::start().await;
    ticket(&place.rest(), "First").await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let url = receiver.url();
    let forward = ["--forward-to", &url, "--secret", secret, "--since", "0"];
    let (mut listening, mut lines) =
        place.listen(&[&["--json", "--events", "ticket.*"], &forward[..]].concat());
    let first: Value = serde_json::from_str(&line(&mut lines).await).expect("JSON");
    assert_eq!(first["data"]["object"]["title"], "First");
    let arrived = receiver.wait(1).await;
    assert_eq!(arrived[0].json(), first);
    assert_eq!(arrived[0].header("webhook-id"), first["id"]);
    assert!(arrived[0].header("webhook-signature").starts_with("v1,"));
    serving.stop().await;
    let serving = place.serve(None).await;
    ticket(&place.rest(), "Second").await;
    let second: Value = serde_json::from_str(&line(&mut lines).await).expect("JSON");
    assert_eq!(second["data"]["object"]["title"], "Second");
    receiver.wait(2).await;
    listening.kill().await.expect("ended");

    let since = second["sequence"].as_i64().expect("a number") - 1;
    let (mut listening, mut lines) = place.listen(&["--since", &since.to_string()]);
    let shown = line(&mut lines).await;
    assert!(shown.contains("ticket.created") && shown.contains("TCK-2 Second"), "{shown}");
    listening.kill().await.expect("ended");
    let (mut refused, _) = place.listen(&["--since", "99999"]);
    assert!(!refused.wait().await.expect("it ended").success());
    serving.stop().await;
}

#[tokio::test]
async fn without_a_setting_sqlite_has_a_key_beside_its_file_and_postgresql_has_none() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::new().await;
    let mut command = machine.orqit(&["serve"]);
    command.env_remove("ORQIT_MASTER_KEY").stdout(Stdio::piped());
    let serving = Serving::of(command.spawn().expect("it runs")).await;
    serving.stop().await;
    let Some(file) = machine.database.url().strip_prefix("sqlite://").map(str::to_owned) else {
        return;
    };
    let file = file.split('?').next().expect("a first part").to_owned() + ".master-key";
    let mode = std::fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = std::fs::read_to_string(&file).expect("a key");
    let again = machine.orqit(&["master-key", "rotate"]).env_remove("ORQIT_MASTER_KEY").output();
    assert!(Machine::printed(again.await.expect("it runs")).starts_with("0 webhooks"));
    assert_eq!(std::fs::read_to_string(&file).expect("a key"), key);
    // A copy without its key has a new one, as nothing was encrypted by the old one.
    std::fs::remove_file(&file).expect("removed");
    let mut command = machine.orqit(&["serve"]);
    command.env_remove("ORQIT_MASTER_KEY").stdout(Stdio::piped());
    Serving::of(command.spawn().expect("it runs")).await.stop().await;
    assert_ne!(std::fs::read_to_string(&file).expect("a key"), key);
}

#[tokio::test]
async fn the_master_key_is_rotated_and_another_one_does_not_start() {
    const NEW: &str = "ISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A=";
    let old = crate::support::server::MASTER_KEY;
    let place = Place::new().await;
    let serving = place.serve(Some(old)).await;
    let receiver = Receiver::start().await;
    let hook = json!({"url": receiver.url(), "events": ["ticket.created"]});
    let secret = place.rest().post("/webhooks", hook).await.data(201)["secret"].clone();
    serving.stop().await;

    let mut wrong = place.machine.orqit(&["serve"]);
    let wrong = wrong.env("ORQIT_MASTER_KEY", NEW).output().await.expect("it runs");
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && told.contains("ORQIT_MASTER_KEY is not the key"), "{told}");
    // While the service runs: it knows both keys.
    let serving = place.serve(Some(&format!("{old},{NEW}"))).await;
    let mut rotate = place.machine.orqit(&["master-key", "rotate"]);
    let rotated = rotate.env("ORQIT_MASTER_KEY", format!("{NEW},{old}")).output().await;
    let told = Machine::printed(rotated.expect("it runs"));
    assert!(told.starts_with("1 webhooks"), "{told}");
    ticket(&place.rest(), "First").await;
    receiver.wait(1).await;
    serving.stop().await;
    let serving = place.serve(Some(NEW)).await;
    ticket(&place.rest(), "Second").await;
    let arrived = receiver.wait(2).await;
    serving.stop().await;
    let secret = orqit::webhooks::signature::secret(secret.as_str().expect("text")).expect("one");
    let seconds = arrived[1].header("webhook-timestamp").parse().expect("a number");
    let id = arrived[1].header("webhook-id");
    let signed = orqit::webhooks::signature::sign(&[secret], id, seconds, &arrived[1].body);
    assert_eq!(signed.standard, arrived[1].header("webhook-signature"));
    assert_eq!(signed.orqit, arrived[1].header("x-orqit-signature"));
}
