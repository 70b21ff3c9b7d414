//! The sums of entries, in memory.

use std::collections::BTreeMap;

use super::entry::Entry;
use crate::auth::caller::Caller;
use crate::rpc::endpoint;
use crate::store::{Figures, FiguresKey, KeyUse, NewRequestLog, Span, Usage, WorkspaceId};

/// The lowest status that counts as an error.
const ERRORS_FROM: u16 = 400;

/// The figures by key and hour, which all others follow from, and the last use of each key.
#[derive(Default)]
pub(super) struct Tally {
    usage: BTreeMap<WorkspaceId, Usage>,
    figures: usize,
}

impl Tally {
    /// Adds an entry, unless that would make more than `figures_max` figures; whether it did.
    pub(super) fn add(&mut self, entry: &Entry, figures_max: usize) -> bool {
        let Some((caller, endpoint)) = known(entry) else { return false };
        let trail = &entry.trail;
        let usage = self.usage.entry(caller.workspace()).or_default();
        let key_id = &caller.key.key_id;
        let last = KeyUse { at: trail.at, client_ip: trail.client.to_string() };
        keep_later(usage, key_id, last);
        let key = FiguresKey {
            span: Span::Hour,
            key_id: Some(key_id.clone()),
            start: Span::Hour.start_of(trail.at),
            endpoint,
        };
        if self.figures >= figures_max && !usage.figures.contains_key(&key) {
            return false;
        }
        let figures = usage.figures.entry(key).or_insert_with(|| {
            self.figures += 1;
            Figures::default()
        });
        figures.requests += 1;
        figures.errors += i64::from(entry.status >= ERRORS_FROM);
        figures.latencies.record(micros(entry));
        true
    }

    /// Adds all of another.
    pub(super) fn add_all(&mut self, other: Self) {
        for (workspace, other) in other.usage {
            let usage = self.usage.entry(workspace).or_default();
            for (key_id, last) in other.key_uses {
                keep_later(usage, &key_id, last);
            }
            for (key, added) in other.figures {
                usage.figures.entry(key).or_default().add(&added);
            }
        }
    }

    /// Returns the usage with the figures of days, and of all keys together.
    pub(super) fn into_usage(mut self) -> BTreeMap<WorkspaceId, Usage> {
        for usage in self.usage.values_mut() {
            for (key, added) in std::mem::take(&mut usage.figures) {
                for span in Span::ALL {
                    for key_id in [None, key.key_id.clone()] {
                        let start = span.start_of(key.start);
                        let sum = FiguresKey { span, key_id, start, endpoint: key.endpoint };
                        usage.figures.entry(sum).or_default().add(&added);
                    }
                }
            }
        }
        self.usage
    }
}

/// The entry as the request log has it.
pub(super) fn request_log(entry: &Entry) -> Option<(WorkspaceId, NewRequestLog)> {
    let (caller, endpoint) = known(entry)?;
    let trail = &entry.trail;
    let (_, route) = trail.rpc.get()?;
    let request = NewRequestLog {
        received_at: trail.at,
        key_id: caller.key.key_id.clone(),
        endpoint,
        route: route.map(|route| route.template),
        method: entry.method,
        transport: trail.transport,
        status: entry.status,
        code: entry.code,
        latency_micros: micros(entry),
        request_id: trail.request_id().to_owned(),
        client_ip: trail.client.to_string(),
    };
    Some((caller.workspace(), request))
}

fn known(entry: &Entry) -> Option<(&Caller, &'static str)> {
    let (rpc, _) = entry.trail.rpc.get()?;
    Some((entry.trail.caller.get()?, endpoint(rpc)))
}

/// The latency in whole microseconds, as the request log and the figures have it.
fn micros(entry: &Entry) -> u64 {
    u64::try_from(entry.latency.as_micros()).unwrap_or(u64::MAX).max(1)
}

fn keep_later(usage: &mut Usage, key_id: &str, last: KeyUse) {
    match usage.key_uses.get_mut(key_id) {
        Some(known) if known.at > last.at => {}
        Some(known) => *known = last,
        None => {
            usage.key_uses.insert(key_id.to_owned(), last);
        }
    }
}
