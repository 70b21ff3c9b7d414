//! `orqit listen`: follows the events of a workspace, shows them, and forwards them to a program on the
//! way, signed as webhooks are. Where the stream breaks off it goes on, also after a restart of the
//! service.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use serde_json::Value;
use tonic::{Code, Status};

use super::ClientArgs;
use super::client::{self, sentence};
use crate::clock::{Clock, Timestamp};
use crate::pb;
use crate::pb::stream_events_response::Told;
use crate::webhooks::address::Allowed;
use crate::webhooks::connect::{Connector, SystemResolver};
use crate::webhooks::sender::{Message, Sender};
use crate::webhooks::signature::{SECRET_BYTES, secret, secret_text};
use crate::webhooks::target::Target;
use crate::webhooks::vault::random;

/// The pauses before a broken stream is opened again, the first one and the longest one.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(10);

/// The arguments of `listen`.
#[derive(Debug, Args)]
pub struct ListenArgs {
    /// A URL that each event is sent to, such as `http://127.0.0.1:3000/hooks`.
    #[arg(long)]
    forward_to: Option<String>,
    /// The secret that signs what is forwarded, `whsec_` and base64; a new one is made and shown by
    /// default.
    #[arg(long, env = "ORQIT_LISTEN_SECRET", hide_env_values = true, requires = "forward_to")]
    secret: Option<String>,
    /// Only events of these types or topics, such as `ticket.*,asset.assigned`.
    #[arg(long, value_delimiter = ',')]
    events: Vec<String>,
    /// The sequence behind which to begin, 0 for the oldest event that is kept; with what happens from
    /// now on by default.
    #[arg(long)]
    since: Option<i64>,
    /// Print each event as a line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// Follows the events until it is interrupted.
pub async fn run(args: ListenArgs) -> Result<(), String> {
    let forward = args.forward_to.as_deref().map(|url| Forward::new(url, args.secret.as_deref()));
    let mut listener = Listener { forward: forward.transpose()?, after: args.since, args };
    let interrupted = tokio::signal::ctrl_c();
    tokio::select! {
        ended = listener.follow() => return ended,
        _ = interrupted => {}
    }
    if let Some(after) = listener.after {
        eprintln!("stopped; go on with --since {after}");
    }
    Ok(())
}

struct Listener {
    args: ListenArgs,
    forward: Option<Forward>,
    /// The sequence up to which everything was shown.
    after: Option<i64>,
}

impl Listener {
    /// Follows the events for as long as the service lets it; an error is a refusal that stays one.
    async fn follow(&mut self) -> Result<(), String> {
        let mut pause = AGAIN_AFTER;
        loop {
            match self.stream(&mut pause).await {
                Ok(()) => eprintln!("the stream ended; opening it again"),
                Err(Broken::ForGood(why)) => return Err(why),
                Err(Broken::ForNow(why)) => {
                    eprintln!("{why}; trying again in {:.1} s", pause.as_secs_f64());
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN_AFTER_MAX);
        }
    }

    /// Shows one stream to its end.
    async fn stream(&mut self, pause: &mut Duration) -> Result<(), Broken> {
        let client = client::connect(&self.args.client).await.map_err(Broken::ForNow)?;
        let request =
            pb::StreamEventsRequest { after: self.after, types: self.args.events.clone() };
        let opened = client.events().stream_events(request).await;
        let mut stream = opened.map_err(|status| Broken::of(&status))?.into_inner();
        eprintln!("listening{}", self.after.map_or(String::new(), |at| format!(" after {at}")));
        while let Some(message) = stream.message().await.map_err(|status| Broken::of(&status))? {
            *pause = AGAIN_AFTER;
            match message.told {
                Some(Told::Event(event)) => {
                    let sequence = event.sequence;
                    self.show(event).await.map_err(Broken::ForGood)?;
                    self.after = Some(sequence);
                }
                Some(Told::Checkpoint(at)) => self.after = Some(at),
                None => {}
            }
        }
        Ok(())
    }

    /// Shows an event, and forwards it.
    async fn show(&self, event: pb::Event) -> Result<(), String> {
        let payload = serde_json::to_vec(&event).map_err(|error| error.to_string())?;
        let line = match self.args.json {
            true => String::from_utf8_lossy(&payload).into_owned(),
            false => summary(&event, &serde_json::from_slice(&payload).unwrap_or_default()),
        };
        // A reader that is gone ends the command: there is nobody to show anything to.
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())?;
        drop(out);
        if let Some(forward) = &self.forward {
            let answer = forward.send(&event, payload).await;
            eprintln!("  {answer}");
        }
        Ok(())
    }
}

/// The reason why a stream ended.
enum Broken {
    /// The stream can be opened again.
    ForNow(String),
    /// The stream would be refused again.
    ForGood(String),
}

impl Broken {
    fn of(status: &Status) -> Self {
        let for_good = [
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::InvalidArgument,
            Code::OutOfRange,
            Code::Unimplemented,
        ];
        match for_good.contains(&status.code()) {
            true => Self::ForGood(sentence(status)),
            false => Self::ForNow(format!("the stream broke off: {}", status.message())),
        }
    }
}

/// A program that gets the events.
struct Forward {
    sender: Sender,
    target: Target,
    secret: Vec<u8>,
}

impl Forward {
    fn new(url: &str, given: Option<&str>) -> Result<Self, String> {
        // Whoever calls the command says where to: nothing is forbidden here.
        let everywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok());
        let allowed = Arc::new(Allowed::new(everywhere.collect()));
        let target = Target::parse(url, &allowed)
            .map_err(|error| format!("--forward-to: {}", error.message))?;
        let secret = match given {
            Some(text) => secret(text).ok_or("--secret must be whsec_ and base64")?,
            None => {
                let secret = random::<SECRET_BYTES>().to_vec();
                eprintln!("what is forwarded is signed by {}", secret_text(&secret));
                secret
            }
        };
        let roots = rustls::RootCertStore::empty();
        let connector = Connector::new(allowed, Arc::new(SystemResolver), &roots);
        Ok(Self { sender: Sender::new(connector, Clock::System), target, secret })
    }

    /// Sends an event, and returns a line about the result.
    async fn send(&self, event: &pb::Event, payload: Vec<u8>) -> String {
        let message = Message {
            uri: self.target.uri.clone(),
            secrets: vec![self.secret.clone()],
            event_id: event.id.clone(),
            event_type: event.r#type.clone(),
            delivery: event.sequence,
            number: 1,
            body: Bytes::from(payload),
        };
        let sent = self.sender.send(message, Clock::System.now()).await.attempt;
        match (sent.status_code, sent.error) {
            (Some(status), _) => format!("{status} in {} ms", sent.duration_ms),
            (None, Some(error)) => format!("not sent: {error:?} after {} ms", sent.duration_ms),
            (None, None) => "not sent".to_owned(),
        }
    }
}

/// An event in a line.
fn summary(event: &pb::Event, payload: &Value) -> String {
    let object = &payload["data"]["object"];
    let text = |names: &[&str]| {
        let mut found = names.iter().map(|name| &object[*name]);
        let found = found.find(|value| !value.is_null() && !value.is_object());
        found.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let number =
        text(&["ticketNumber", "taskNumber", "assetTag", "slug", "id"]).unwrap_or_default();
    let title = text(&["title", "name", "displayName", "label", "url", "body"]).unwrap_or_default();
    let title: String = title.lines().next().unwrap_or_default().chars().take(60).collect();
    let changed = payload["data"]["changedFields"].as_array().into_iter().flatten();
    let changed: Vec<_> = changed.filter_map(Value::as_str).collect();
    let changed = match changed.is_empty() {
        true => String::new(),
        false => format!("  [{}]", changed.join(", ")),
    };
    let at = event.timestamp.map(|at| Timestamp::from(at).to_rfc3339()).unwrap_or_default();
    let by = event.actor.as_ref().map(|actor| actor.name.as_str()).unwrap_or_default();
    format!("{at}  {}  {}  {number} {title}{changed}  by {by}", event.sequence, event.r#type)
}
