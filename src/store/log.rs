//! The event log as it is read: by sequence, in pages that are bounded in rows and bytes.
//!
//! Changes commit in the order of their sequence, so whoever has read up to the last one that it saw
//! has missed none. The log begins behind the last event that has expired.

use sea_orm::Value;

use super::Reader;
use super::events::{SEQUENCE, actor_kind};
use super::row::Row;
use super::rows::RowSource;
use super::sql::{Parameters, statement};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::event::{Actor, RecordedEvent};
use crate::event_type::EventType;
use crate::metrics::StoreOperation;
use crate::subscription::Subscription;

/// The counter that stands at the last event which has expired.
pub(super) const EXPIRED: &str = "expired_events";

/// The columns that [`recorded`] takes.
pub(super) const COLUMNS: &str = "sequence, id, event_type, topics, actor_type, actor_id, actor_name, created_at, \
                       data";

/// The most sequences of the log that are passed over for a page of those that follow it.
const FOLLOWED_ROWS_MAX: i64 = 10_000;

/// The most by which the times of neighbours in the log may be out of order: clocks of several
/// machines.
const CLOCKS_APART_MS: i64 = 10_000;

/// The key by which one event is found.
#[derive(Debug, Clone, Copy)]
pub enum EventKey<'a> {
    Id(&'a str),
    Sequence(i64),
}

/// The events that a follower of the log wants next.
#[derive(Debug, Clone)]
pub struct Followed<'a> {
    /// Only events of these types and topics.
    pub subscription: &'a Subscription,
    /// Only events after this sequence; 0 begins with the oldest that is kept.
    pub after: i64,
    /// Only events of this time or later.
    pub since: Option<Timestamp>,
    /// Only events before this time.
    pub until: Option<Timestamp>,
    /// The most events.
    pub most: u32,
    /// The bytes after which no more events are read.
    pub bytes_max: usize,
}

/// A page of the log, which a follower reads at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct LogPage {
    /// The events that are followed, in order.
    pub events: Vec<RecordedEvent>,
    /// The sequence up to which the log was read.
    pub read_up_to: i64,
    /// True if nothing follows there: the log ends, or what lies before the time that is asked for.
    pub is_end: bool,
}

/// The sequences between which the log has events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnds {
    /// The last one that has expired; 0 while none has.
    pub expired: i64,
    /// The last one.
    pub last: i64,
}

impl LogEnds {
    /// Returns the place at which a reader begins who has read up to `after`; none beyond the last
    /// event, and refused before the oldest that is kept. 0 is always right: the oldest comes
    /// first.
    pub fn begin(self, after: i64) -> Result<Option<i64>, Error> {
        let Self { expired, last } = self;
        match after {
            0 => Ok(Some(expired)),
            _ if after > last => Ok(None),
            _ if after < expired => Err(self.refusal()),
            _ => Ok(Some(after)),
        }
    }

    /// Makes the refusal of a sequence that is not kept any more.
    pub fn refusal(self) -> Error {
        let oldest = self.expired + 1;
        let message = format!(
            "Events are kept from sequence {oldest} on; what you ask for is older. Begin with after=0, and read what the events would have told by the lists of the resources."
        );
        Error::new(Kind::EventsExpired { oldest }, message)
    }
}

impl Reader<'_> {
    /// Returns the sequences between which the log has events.
    pub async fn log_ends(&self) -> Result<LogEnds, Error> {
        let text = "SELECT name, value FROM counters WHERE workspace_id = $1 AND name IN ($2, $3)";
        let values = [self.workspace.0.into(), SEQUENCE.into(), EXPIRED.into()];
        let read = |row: &Row<'_>| Ok((row.get::<String>(0)?, row.get::<i64>(1)?));
        let counters = RowSource::Short(*self).read(statement(self.backend(), text, values), read);
        let mut ends = LogEnds { expired: 0, last: 0 };
        for (name, value) in counters.await? {
            match name == SEQUENCE {
                true => ends.last = value,
                false => ends.expired = value,
            }
        }
        Ok(ends)
    }

    /// The events after `sequence`, in order, at most `limit` of them.
    pub async fn list_events(
        &self,
        after_sequence: i64,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, Error> {
        self.read_log(&Followed::all(after_sequence, limit, usize::MAX), None).await
    }

    /// The event with this id, or at this sequence.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_event(&self, key: EventKey<'_>) -> Result<Option<RecordedEvent>, Error> {
        let _timed = StoreOperation::begin("find", "events");
        let (column, key) = match key {
            // PostgreSQL refuses U+0000 in any text, and so no id has it.
            EventKey::Id(id) if id.contains('\0') => return Ok(None),
            EventKey::Id(id) => ("id", Value::from(id)),
            EventKey::Sequence(sequence) => ("sequence", sequence.into()),
        };
        let text =
            format!("SELECT {COLUMNS} FROM events WHERE workspace_id = $1 AND {column} = $2");
        let find = statement(self.backend(), text, [self.workspace.0.into(), key]);
        let found = RowSource::Reader(*self).read(find, recorded).await?.into_iter().next();
        let ends = self.log_ends().await?;
        Ok(found.filter(|event| event.sequence > ends.expired))
    }

    /// The next events that are followed; none where the log is not that long. Others are passed over,
    /// a bounded number of them at a time. The log is read up to the last event at the time of the
    /// question.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn follow(&self, asked: &Followed<'_>) -> Result<Option<LogPage>, Error> {
        let _timed = StoreOperation::begin("follow", "events");
        let ends = self.log_ends().await?;
        let Some(mut after) = ends.begin(asked.after)? else { return Ok(None) };
        if let Some(since) = asked.since {
            after = after.max(self.first_at(since, after, ends.last).await? - 1);
        }
        let end = match asked.until {
            Some(until) => {
                let behind = until.plus_millis(2 * CLOCKS_APART_MS);
                self.first_at(behind, after, ends.last).await? - 1
            }
            None => ends.last,
        };
        let within = end.min(after.saturating_add(FOLLOWED_ROWS_MAX));
        let asked = Followed { after, ..asked.clone() };
        let events = self.read_log(&asked, Some(within)).await?;
        let bytes = |event: &RecordedEvent| event.data.len();
        let is_cut = events.len() == asked.most as usize
            || events.iter().map(bytes).sum::<usize>() > asked.bytes_max;
        let read_up_to = match events.last() {
            Some(event) if is_cut => event.sequence,
            _ => within.max(after),
        };
        Ok(Some(LogPage { events, read_up_to, is_end: read_up_to >= end }))
    }

    /// Lists sequence, id and type of the events that are followed, in order, at most `most`. Tests
    /// of endpoints are not among them.
    pub async fn list_event_heads(
        &self,
        subscription: &Subscription,
        since: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<(i64, String, String)>, Error> {
        let ends = self.log_ends().await?;
        let after = self.first_at(since, ends.expired, ends.last).await? - 1;
        let up_to = until.plus_millis(2 * CLOCKS_APART_MS);
        let up_to = self.first_at(up_to, after, ends.last).await? - 1;
        let mut parameters = Parameters::new(self.backend());
        let workspace = parameters.bind(self.workspace.0);
        let mut text = format!(
            "SELECT sequence, id, event_type FROM events WHERE workspace_id = {workspace} \
             AND sequence > {} AND sequence <= {} AND created_at >= {} AND created_at < {} \
             AND event_type <> {}",
            parameters.bind(after),
            parameters.bind(up_to),
            parameters.bind(since.0),
            parameters.bind(until.0),
            parameters.bind(EventType::WebhookTest.name()),
        );
        narrow(&mut text, &mut parameters, subscription);
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        text += &format!(" ORDER BY sequence LIMIT {} + 0", parameters.bind(most));
        let head = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        RowSource::Reader(*self).read(parameters.statement(text), head).await
    }

    /// Returns the time of the oldest event that is kept.
    pub async fn oldest_event_at(&self, ends: LogEnds) -> Result<Option<Timestamp>, Error> {
        let text = "SELECT created_at FROM events WHERE workspace_id = $1 AND sequence = $2";
        let values = [self.workspace.0.into(), (ends.expired + 1).into()];
        let time = statement(self.backend(), text, values);
        let time = RowSource::Short(*self).read(time, |row| Ok(Timestamp(row.get(0)?)));
        Ok(time.await?.into_iter().next())
    }

    async fn read_log(
        &self,
        asked: &Followed<'_>,
        up_to: Option<i64>,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let mut parameters = Parameters::new(self.backend());
        let workspace = parameters.bind(self.workspace.0);
        let after = parameters.bind(asked.after);
        let mut text = format!(
            "SELECT {COLUMNS} FROM events WHERE workspace_id = {workspace} AND sequence > {after}"
        );
        if let Some(up_to) = up_to {
            text += &format!(" AND sequence <= {}", parameters.bind(up_to));
        }
        if let Some(since) = asked.since {
            text += &format!(" AND created_at >= {}", parameters.bind(since.0));
        }
        if let Some(until) = asked.until {
            text += &format!(" AND created_at < {}", parameters.bind(until.0));
        }
        narrow(&mut text, &mut parameters, asked.subscription);
        text += &format!(" ORDER BY sequence LIMIT {} + 0", parameters.bind(i64::from(asked.most)));
        let bytes = |event: &RecordedEvent| event.data.len();
        RowSource::Reader(*self)
            .read_within(parameters.statement(text), recorded, bytes, asked.bytes_max)
            .await
    }

    /// A sequence from which on all events of `at` or later lie, between `after` and `last`: at most
    /// `last + 1`. Found by halving, for times follow the sequence but for how far clocks are apart.
    pub(super) async fn first_at(
        &self,
        at: Timestamp,
        after: i64,
        last: i64,
    ) -> Result<i64, Error> {
        let at = at.plus_millis(-CLOCKS_APART_MS);
        let (mut low, mut high) = (after + 1, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let text = "SELECT created_at FROM events WHERE workspace_id = $1 AND sequence >= $2 \
                        ORDER BY sequence LIMIT 1";
            let values = [self.workspace.0.into(), middle.into()];
            let time = statement(self.backend(), text, values);
            let time = RowSource::Short(*self).read(time, |row| row.get::<i64>(0)).await?;
            match time.first().is_some_and(|time| *time < at.0) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok(low)
    }
}

impl Followed<'static> {
    /// Follows all events after `after`.
    pub fn all(after: i64, most: u32, bytes_max: usize) -> Self {
        let subscription = Subscription::everything();
        Self { subscription, after, since: None, until: None, most, bytes_max }
    }
}

/// An event of the log, from [`COLUMNS`].
pub(super) fn recorded(row: &Row<'_>) -> Result<RecordedEvent, Error> {
    let kind = actor_kind(row.get(4)?)?;
    Ok(RecordedEvent {
        sequence: row.get(0)?,
        id: row.get(1)?,
        event_type: row.get(2)?,
        topics: super::from_json(&row.get::<String>(3)?)?,
        actor: Actor { kind, id: row.get(5)?, name: row.get(6)? },
        created_at: Timestamp(row.get(7)?),
        data: row.get(8)?,
    })
}

/// Leaves only the events that somebody subscribes to.
fn narrow(text: &mut String, parameters: &mut Parameters, subscription: &Subscription) {
    for name in subscription.without() {
        *text += &format!(" AND event_type <> {}", parameters.bind(*name));
    }
    let Some((types, topics)) = subscription.narrowed() else { return };
    // Topics stand in the row as a list of JSON, in which quotation marks enclose each.
    let topics = topics
        .iter()
        .map(|topic| format!(" OR topics LIKE {}", parameters.bind(format!("%\"{topic}\"%"))))
        .collect::<String>();
    let types: Vec<_> = types.iter().map(|name| (*name).to_owned()).collect();
    *text += &format!(" AND (event_type {}{topics})", parameters.bind_in_texts(&types));
}
