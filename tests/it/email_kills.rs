//! E-mails of a process that is killed at any moment: none is lost, and none is handed over more often than
//! it was attempted.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::cli::{Machine, Serving};
use crate::support::rest::Rest;
use crate::support::smtp::{Answer, Smtp};

/// Fewer than the claims after which an e-mail is given up.
const KILLS: usize = 4;
const EMAILS: usize = 25;
/// How long after the last restart everything is sent, at most.
const SENT_WITHIN: Duration = Duration::from_secs(30);

async fn serve(machine: &Machine, smtp: &Smtp) -> Serving {
    let mut command = machine.orqit(&["serve"]);
    command.env("ORQIT_SMTP_URL", format!("smtp://{}", smtp.address));
    command.env("ORQIT_SMTP_FROM", "desk@example.com");
    command.env("ORQIT_WEBHOOK_RETRY_SCHEDULE", "0s,1s,1s,1s,1s,1s,1s,1s");
    Serving::of(command.stdout(Stdio::piped()).spawn().expect("it runs")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_no_email_and_sends_none_without_an_attempt() {
    let machine = Machine::new().await;
    if !machine.database.url().starts_with("sqlite") {
        // There somebody else waits until a claim has run out, which takes minutes.
        return;
    }
    let (smtp, mut random) = (Smtp::start().await, StdRng::seed_from_u64(4711));
    Machine::printed(machine.run(&["workspace", "create", "default"]).await);
    let key = machine.unlimited_key("email:send").await;
    let mut acknowledged = Vec::new();
    for kill in 0..KILLS {
        // Some are taken, and not answered.
        let answers = (0..EMAILS).map(|_| match random.random_range(0..5) {
            0 => Answer::HangUp,
            1 => Answer::Line("451 later"),
            _ => Answer::Line("250 taken"),
        });
        smtp.answer(&answers.collect::<Vec<_>>());
        let mut serving = serve(&machine, &smtp).await;
        let rest = Rest::new(serving.url.clone(), &key);
        for number in 0..EMAILS {
            let subject = format!("{kill}-{number}");
            let body = json!({"to": ["ana@example.com"], "subject": subject, "text": "x"});
            acknowledged.push(rest.post("/emails", body).await.data(201)["id"].clone());
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..40))).await;
        serving.child.kill().await.expect("killed");
    }
    let serving = serve(&machine, &smtp).await;
    let (began, rest) = (Instant::now(), Rest::new(serving.url.clone(), &key));
    let mut attempts = BTreeMap::new();
    for id in &acknowledged {
        let sent = loop {
            let email = rest.get(&format!("/emails/{id}")).await.data(200);
            if email["status"] == "SENT" {
                break email;
            }
            assert!(began.elapsed() < SENT_WITHIN, "never sent: {email}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let subject = sent["subject"].as_str().expect("text").to_owned();
        attempts.insert(subject, sent["attemptCount"].as_u64().expect("a number"));
    }
    serving.stop().await;
    let mut arrivals: BTreeMap<String, u64> = BTreeMap::new();
    for email in smtp.arrived() {
        *arrivals.entry(email.header("Subject").to_owned()).or_default() += 1;
    }
    assert_eq!(attempts.len(), KILLS * EMAILS);
    for (subject, attempts) in &attempts {
        let arrived = arrivals.get(subject).copied().unwrap_or_default();
        assert!((1..=*attempts).contains(&arrived), "{subject}: {arrived} of {attempts}");
    }
    assert!(attempts.values().any(|attempts| *attempts > 1), "nothing was tried again");
}
