//! The log of a workspace as its streams follow it: the newest events are kept in memory once for all
//! readers, bounded, and everything else is read from the store.
//!
//! There is no live path beside the stored one: a reader reads until the log ends, waits to be woken,
//! and reads on. So what is replayed and what is live have no seam.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Instant;

use crate::config::{
    FEED_BYTES_MAX, FEED_BYTES_PER_WORKSPACE, FEED_EVENTS_MAX, FEED_PAGE_BYTES, FEED_PAGE_EVENTS,
    LOG_POLLED,
};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::pb;
use crate::store::{Followed, Store, WorkspaceId};
use crate::subscription::Subscription;

/// The feeds that somebody reads.
#[derive(Debug, Clone)]
pub struct Feeds {
    store: Store,
    open: Arc<Mutex<HashMap<WorkspaceId, Weak<Feed>>>>,
    /// The bytes of events that all of them keep.
    bytes: Arc<AtomicUsize>,
}

/// An event of a feed, with the message that shows it, which is made once for all readers.
#[derive(Debug)]
pub struct FeedEvent {
    /// The event.
    pub recorded: RecordedEvent,
    /// The event as messages show it, once a reader has asked for it.
    pub shown: OnceLock<pb::Event>,
}

/// The newest events of a workspace.
#[derive(Debug)]
pub struct Feed {
    store: Store,
    workspace: WorkspaceId,
    newest: tokio::sync::Mutex<Newest>,
    all_bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Newest {
    /// The newest events, without a gap up to `last`.
    events: VecDeque<Arc<FeedEvent>>,
    bytes: usize,
    /// The last sequence that was read; none before anybody has.
    last: Option<i64>,
    /// The time at which the store was last asked.
    looked_at: Instant,
}

/// A part of the log, which a reader gets at a time.
#[derive(Debug)]
pub struct FeedPage {
    /// The events, in order.
    pub events: Vec<Arc<FeedEvent>>,
    /// The sequence up to which the log was read.
    pub read_up_to: i64,
    /// True if the log ended there.
    pub is_end: bool,
}

impl Feeds {
    /// Makes the feed of a store.
    pub fn new(store: Store) -> Self {
        Self { store, open: Arc::default(), bytes: Arc::default() }
    }

    /// The feed of a workspace, shared by all who read it.
    pub fn of(&self, workspace: WorkspaceId) -> Arc<Feed> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = open.get(&workspace).and_then(Weak::upgrade) {
            return feed;
        }
        open.retain(|_, feed| feed.strong_count() > 0);
        let newest =
            Newest { events: VecDeque::new(), bytes: 0, last: None, looked_at: Instant::now() };
        let feed = Arc::new(Feed {
            store: self.store.clone(),
            workspace,
            newest: tokio::sync::Mutex::new(newest),
            all_bytes: Arc::clone(&self.bytes),
        });
        open.insert(workspace, Arc::downgrade(&feed));
        feed
    }
}

impl Feed {
    /// The next events behind `after`: those of `wanted` alone where they have to be read for this
    /// reader, and all of them where they are in memory. Who was not woken does not ask the store if
    /// another one just has.
    pub async fn read(
        &self,
        after: i64,
        wanted: &Subscription,
        is_woken: bool,
    ) -> Result<FeedPage, Error> {
        {
            let mut newest = self.newest.lock().await;
            if newest.last.is_none() {
                let ends = self.store.reader(self.workspace).log_ends().await?;
                newest.last = Some(ends.last);
            }
            // One reader at the end reads for all that wait there.
            let may_have_grown = is_woken || newest.looked_at.elapsed() >= LOG_POLLED / 2;
            if newest.last == Some(after) && may_have_grown {
                self.read_on(&mut newest, after).await?;
            }
            if let Some(part) = newest.behind(after) {
                return Ok(part);
            }
        }
        let asked = Followed {
            subscription: wanted,
            ..Followed::all(after, FEED_PAGE_EVENTS, FEED_PAGE_BYTES)
        };
        let page = self.store.reader(self.workspace).follow(&asked).await?;
        let page = page.ok_or_else(|| Error::internal("the log has become shorter"))?;
        let events = page.events.into_iter().map(FeedEvent::new).collect();
        Ok(FeedPage { events, read_up_to: page.read_up_to, is_end: page.is_end })
    }

    async fn read_on(&self, newest: &mut Newest, after: i64) -> Result<(), Error> {
        let asked = Followed::all(after, FEED_EVENTS_MAX as u32, FEED_BYTES_PER_WORKSPACE);
        let page = self.store.reader(self.workspace).follow(&asked).await?;
        newest.looked_at = Instant::now();
        let Some(page) = page else { return Ok(()) };
        for event in page.events {
            let bytes = size(&event);
            newest.bytes += bytes;
            self.all_bytes.fetch_add(bytes, Ordering::Relaxed);
            newest.events.push_back(FeedEvent::new(event));
        }
        newest.last = Some(page.read_up_to);
        self.forget(newest);
        Ok(())
    }

    /// Forgets the oldest events while there are too many, here or in all feeds together.
    fn forget(&self, newest: &mut Newest) {
        while newest.events.len() > FEED_EVENTS_MAX
            || newest.bytes > FEED_BYTES_PER_WORKSPACE
            || (self.all_bytes.load(Ordering::Relaxed) > FEED_BYTES_MAX && newest.events.len() > 1)
        {
            let Some(event) = newest.events.pop_front() else { return };
            newest.bytes -= size(&event.recorded);
            self.all_bytes.fetch_sub(size(&event.recorded), Ordering::Relaxed);
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.all_bytes.fetch_sub(self.newest.get_mut().bytes, Ordering::Relaxed);
    }
}

impl Newest {
    /// Returns the events after `after` that are kept in memory; none where those do not reach back
    /// so far.
    fn behind(&self, after: i64) -> Option<FeedPage> {
        let last = self.last?;
        if after == last {
            return Some(FeedPage { events: Vec::new(), read_up_to: last, is_end: true });
        }
        let first = self.events.front()?.recorded.sequence;
        let skipped = usize::try_from(after + 1 - first).ok()?;
        let events: Vec<_> =
            self.events.iter().skip(skipped).take(FEED_PAGE_EVENTS as usize).cloned().collect();
        let read_up_to = events.last()?.recorded.sequence;
        Some(FeedPage { events, read_up_to, is_end: read_up_to == last })
    }
}

impl FeedEvent {
    fn new(recorded: RecordedEvent) -> Arc<Self> {
        Arc::new(Self { recorded, shown: OnceLock::new() })
    }
}

/// Returns about how many bytes an event takes in memory, with the message that shows it: a tree of
/// the values of its JSON, which is some times as large.
fn size(event: &RecordedEvent) -> usize {
    size_of::<FeedEvent>() + 6 * event.data.len() + 256
}
