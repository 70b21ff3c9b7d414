//! EventService: the workspace's log of events, in pages and as a stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use prost::Message;
use rest::Violations;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{accept, messages, next_milli, no_more, number, pages};
use crate::config::{CHECKPOINT_EVERY, LOG_POLLED, PAGE_BYTES_MAX, PER_PAGE_DEFAULT};
use crate::error::Error;
use crate::event_type::EventType;
use crate::feed::{Feed, FeedEvent, Feeds};
use crate::pb;
use crate::resource::Resource;
use crate::store::{EventKey, Followed, PageRequest, Position, Store, Workspace};
use crate::subscription::{Subscription, is_known};

/// The path of the schemas in the OpenAPI document.
const SCHEMAS: &str = "#/components/schemas/";
const LAST_EVENT_ID: &str = "last-event-id";

/// Answers for events.
#[derive(Clone)]
pub struct Events {
    /// The store.
    pub store: Store,
    /// The feeds of the log, by which streams read it.
    pub feeds: Feeds,
    /// The catalogue, as it is answered.
    pub types: Arc<[pb::EventTypeInfo]>,
}

#[tonic::async_trait]
impl pb::event_service_server::EventService for Events {
    type StreamEventsStream =
        Pin<Box<dyn Stream<Item = Result<pb::StreamEventsResponse, Status>> + Send>>;

    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let accepted = accept(request, |message: &pb::ListEventsRequest, violations| {
            check_types("types", &message.types, violations);
        })?;
        let message = &accepted.message;
        let subscription = Subscription::parse(&message.types);
        let followed = Followed {
            subscription: &subscription,
            after: message.after.unwrap_or(0),
            since: message.since.map(next_milli),
            until: message.until.map(next_milli),
            most: message.per_page.map_or(PER_PAGE_DEFAULT, i32::unsigned_abs),
            bytes_max: PAGE_BYTES_MAX,
        };
        let reader = self.store.reader(accepted.caller.workspace());
        let page = reader.follow(&followed).await?.ok_or_else(|| beyond("after"))?;
        let mut read_up_to = page.read_up_to;
        let workspace = &accepted.caller.key.workspace;
        let events = page.events.iter().map(|recorded| messages::event(recorded, workspace));
        let mut events = events.collect::<Result<Vec<_>, _>>()?;
        let asked = PageRequest { per_page: followed.most, position: Position::Start };
        let fitting = pages::fitting(&asked, events.iter().map(Message::encoded_len))?;
        let is_whole = fitting == events.len();
        events.truncate(fitting);
        if let (false, Some(last)) = (is_whole, events.last()) {
            read_up_to = last.sequence;
        }
        let end_of_feed = page.is_end && is_whole;
        let meta = Some(pb::EventsMeta { next_after: read_up_to, end_of_feed });
        Ok(Response::new(pb::ListEventsResponse { events, meta }))
    }

    async fn get_event(
        &self,
        request: Request<pb::GetEventRequest>,
    ) -> Result<Response<pb::GetEventResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let id = &accepted.message.id;
        let found = reader.find_event(number(id).map_or(EventKey::Id(id), EventKey::Sequence));
        let found = found.await?;
        let found = found.ok_or_else(|| Resource::Event.not_found())?;
        let event = Some(messages::event(&found, &accepted.caller.key.workspace)?);
        Ok(Response::new(pb::GetEventResponse { event }))
    }

    async fn list_event_types(
        &self,
        request: Request<pb::ListEventTypesRequest>,
    ) -> Result<Response<pb::ListEventTypesResponse>, Status> {
        accept(request, no_more)?;
        let event_types = self.types.to_vec();
        Ok(Response::new(pb::ListEventTypesResponse { event_types }))
    }

    async fn stream_events(
        &self,
        request: Request<pb::StreamEventsRequest>,
    ) -> Result<Response<Self::StreamEventsStream>, Status> {
        let last_event_id = request.metadata().get(LAST_EVENT_ID).cloned();
        let mut resumed = None;
        let accepted = accept(request, |message: &pb::StreamEventsRequest, violations| {
            check_types("types", &message.types, violations);
            let id = last_event_id.as_ref().map(|id| id.to_str().ok().and_then(sequence));
            if id == Some(None) {
                let remedy =
                    "Last-Event-ID must be the id of an event of this stream, such as 4711";
                violations.add("Last-Event-ID", "INVALID_FORMAT", remedy);
            }
            resumed = id.flatten();
        })?;
        let message = &accepted.message;
        let (asked, field) = match resumed {
            Some(id) => (Some(id), "Last-Event-ID"),
            None => (message.after, "after"),
        };
        let workspace = &accepted.caller.key.workspace;
        let growth = self.store.wakes().follow(workspace.id);
        let ends = self.store.reader(workspace.id).log_ends().await?;
        let after = match asked {
            Some(after) => ends.begin(after)?.ok_or_else(|| beyond(field))?,
            None => ends.last,
        };
        let following = Following {
            feed: self.feeds.of(workspace.id),
            growth,
            workspace: workspace.clone(),
            subscription: Subscription::parse(&message.types),
            after,
            told: after,
            pending: VecDeque::new(),
            is_end: false,
            // Who begins with what happens from now on is told where that is.
            checkpoint_at: asked.map_or_else(Instant::now, |_| Instant::now() + CHECKPOINT_EVERY),
        };
        let messages = unfold(following, |mut following| async {
            let message = following.next().await;
            Some((message.map_err(Status::from), following))
        });
        Ok(Response::new(Box::pin(messages)))
    }
}

/// The position of a stream in the log.
struct Following {
    feed: Arc<Feed>,
    growth: watch::Receiver<()>,
    workspace: Workspace,
    subscription: Subscription,
    /// The sequence up to which the log was read.
    after: i64,
    /// The sequence that the client knows of.
    told: i64,
    pending: VecDeque<Arc<FeedEvent>>,
    is_end: bool,
    checkpoint_at: Instant,
}

impl Following {
    /// The number of events that are passed over until a checkpoint tells of it.
    const PASSED_OVER_MAX: i64 = 1000;

    async fn next(&mut self) -> Result<pb::StreamEventsResponse, Error> {
        use pb::stream_events_response::Told;
        let told = loop {
            if let Some(event) = self.pending.pop_front() {
                self.told = event.recorded.sequence;
                break Told::Event(self.shown(&event)?);
            }
            let passed_over = self.after - self.told;
            if Instant::now() >= self.checkpoint_at || passed_over >= Self::PASSED_OVER_MAX {
                self.told = self.after;
                break Told::Checkpoint(self.after);
            }
            let is_woken = !self.is_end || self.wait().await;
            let part = self.feed.read(self.after, &self.subscription, is_woken).await?;
            let wanted = part.events.into_iter();
            self.pending
                .extend(wanted.filter(|event| self.subscription.matches(&event.recorded.topics)));
            (self.after, self.is_end) = (part.read_up_to, part.is_end);
        };
        self.checkpoint_at = Instant::now() + CHECKPOINT_EVERY;
        Ok(pb::StreamEventsResponse { told: Some(told) })
    }

    /// The message that shows an event, made once for all streams that have it.
    fn shown(&self, event: &FeedEvent) -> Result<pb::Event, Error> {
        if let Some(shown) = event.shown.get() {
            return Ok(shown.clone());
        }
        let shown = messages::event(&event.recorded, &self.workspace)?;
        Ok(event.shown.get_or_init(|| shown).clone())
    }

    /// Waits until the log may have grown, or something is to be told anyway; whether somebody has told
    /// that it has grown.
    async fn wait(&mut self) -> bool {
        let poll = Instant::now() + LOG_POLLED;
        tokio::select! {
            // The sender lives as long as somebody follows.
            _ = self.growth.changed() => true,
            () = tokio::time::sleep_until(poll.min(self.checkpoint_at)) => false,
        }
    }
}

/// Refuses what subscribes to nothing.
pub fn check_types(field: &str, types: &[String], violations: &mut Violations) {
    for (index, _) in types.iter().enumerate().filter(|(_, text)| !is_known(text)) {
        let field = format!("{field}[{index}]");
        let remedy = format!(
            "{field} is no type of events: use one of GET /api/public/v1/event-types, a topic, ticket.* or another prefix, or *"
        );
        violations.add(field, "UNKNOWN_EVENT_TYPE", remedy);
    }
}

/// The catalogue of events, with the schemas of the OpenAPI document.
pub fn catalogue(document: &str) -> Result<Arc<[pb::EventTypeInfo]>, String> {
    let document: Value = serde_json::from_str(document).map_err(|error| error.to_string())?;
    let types = EventType::ALL.iter().map(|of| {
        let webhook = &document["webhooks"][of.name()]["post"]["requestBody"]["content"];
        let payload = &webhook["application/json"]["schema"]["$ref"];
        let payload = payload.as_str().and_then(|target| target.strip_prefix(SCHEMAS));
        let payload = &document["components"]["schemas"][payload.unwrap_or_default()];
        let mut definitions = Map::new();
        let mut schema = local(payload, &document, &mut definitions);
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        schema["$defs"] = definitions.into();
        let Value::Object(schema) = schema else {
            return Err(format!("the payload of {} has no schema", of.name()));
        };
        Ok(pb::EventTypeInfo {
            r#type: of.name().to_owned(),
            description: of.about().to_owned(),
            topics: of.topics().iter().map(|&topic| topic.to_owned()).collect(),
            schema: Some(messages::structure(schema)),
        })
    });
    types.collect::<Result<Vec<_>, _>>().map(Arc::from)
}

/// A schema of the document whose references lead into `definitions`, which gets all that it needs.
fn local(schema: &Value, document: &Value, definitions: &mut Map<String, Value>) -> Value {
    match schema {
        Value::Object(object) => {
            let object = object.iter().map(|(name, value)| {
                let named = value.as_str().and_then(|target| target.strip_prefix(SCHEMAS));
                let Some(target) = named.filter(|_| name == "$ref") else {
                    return (name.clone(), local(value, document, definitions));
                };
                if !definitions.contains_key(target) {
                    // A schema may refer to itself: its name is taken before it is looked at.
                    definitions.insert(target.to_owned(), Value::Null);
                    let found = &document["components"]["schemas"][target];
                    let found = local(found, document, definitions);
                    definitions.insert(target.to_owned(), found);
                }
                (name.clone(), format!("#/$defs/{target}").into())
            });
            Value::Object(object.collect())
        }
        Value::Array(list) => {
            list.iter().map(|value| local(value, document, definitions)).collect()
        }
        other => other.clone(),
    }
}

fn sequence(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn beyond(field: &str) -> Error {
    let remedy = format!(
        "{field} leads beyond the last event, so it is of another workspace or database; begin with 0, or without it"
    );
    Error::invalid_field(field, "OUT_OF_RANGE", remedy)
}
