//! Guards the streams that RPCs open: how many a key has, and when they end whatever their service
//! would still send. A stream ends when its key is revoked, expires or loses the scope, when the
//! service stops, and at the deadline that its client set. While this process cannot keep up with the
//! changes of keys, each message waits until the database has confirmed the key.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rest::stream::Cause;
use rest::{Guard, StreamGuard};
use tokio::sync::watch;
use tonic::Status;

use super::resolve::Target;
use super::{Request, authenticate, authorize, deadline, respond};
use crate::auth::caller::Caller;
use crate::auth::keyring::{KeyRing, OpenStream, Rights};
use crate::clock::{Clock, Timestamp};
use crate::config::{KEY_EPOCH_POLLED, STREAMS_PER_KEY_MAX};
use crate::error::{Error, Kind, causes};
use crate::metrics::Counted;
use crate::trail::Trail;
use crate::transport::Transport;

/// The longest pause between two looks of an open stream at the clock, however far off the expiry
/// of its key is.
const CLOCK_READ_EVERY: Duration = Duration::from_secs(60);

/// The parts that the streams of this process share.
pub struct Streams {
    /// The ring of keys.
    pub keys: Arc<KeyRing>,
    /// Tells when a key expires.
    pub clock: Clock,
    /// The signal that turns true when the service begins to stop.
    pub stopping: watch::Receiver<bool>,
}

impl Streams {
    /// Puts a guard into the request if its RPC streams, or refuses one stream too many of its key.
    pub fn guard(&self, request: &mut Request) -> Result<(), Error> {
        let extensions = request.extensions();
        let target = extensions.get::<Target>();
        if !target.and_then(Target::rpc).is_some_and(|(rpc, _)| rpc.streams) {
            return Ok(());
        }
        let (Some(target), Some(caller), Some(trail)) =
            (target, extensions.get::<Arc<Caller>>(), extensions.get::<Arc<Trail>>())
        else {
            return Err(Error::internal("a stream is about to be opened for nobody"));
        };
        let open = Arc::new(self.keys.open_stream(caller).ok_or_else(too_many)?);
        let needs = Needs { target: target.clone(), clock: self.clock.clone() };
        let within = deadline::of_client(request);
        let over = over(Arc::clone(&open), needs.clone(), self.stopping.clone(), within);
        let trail = Arc::clone(trail);
        let guard = Guarding {
            over: Box::pin(over),
            confirming: None,
            open,
            needs,
            trail,
            _counted: Counted::new("orqit_streams"),
        };
        request.extensions_mut().insert(StreamGuard::new(guard));
        Ok(())
    }
}

fn too_many() -> Error {
    let message = format!(
        "The key has {STREAMS_PER_KEY_MAX} open streams, which is as many as it may have. Close one first."
    );
    Error::new(Kind::TooManyStreams, message)
}

/// The rights that the stream needs to go on.
#[derive(Clone)]
struct Needs {
    target: Target,
    clock: Clock,
}

impl Needs {
    /// Returns the reason why the stream ends with these rights; none while they are enough.
    fn refusal(&self, rights: &Rights) -> Option<Error> {
        match rights {
            Rights::Known(caller) => self.refusal_of(caller),
            Rights::Revoked => Some(authenticate::invalid()),
            Rights::Unknown => None,
        }
    }

    fn refusal_of(&self, caller: &Caller) -> Option<Error> {
        if caller.is_expired(self.clock.now()) {
            return Some(authenticate::expired());
        }
        authorize::check(&self.target, Some(caller)).err()
    }

    /// Returns the pause until the next look at the clock.
    fn look_after(&self, expires_at: Option<Timestamp>) -> Duration {
        let left =
            expires_at.map(|at| at.0.saturating_sub(self.clock.now().0).max(1).unsigned_abs());
        left.map_or(CLOCK_READ_EVERY, Duration::from_millis).min(CLOCK_READ_EVERY)
    }
}

/// Waits until the stream must end, and says why.
async fn over(
    open: Arc<OpenStream>,
    needs: Needs,
    mut stopping: watch::Receiver<bool>,
    within: Option<Duration>,
) -> Error {
    let mut rights = open.rights.clone();
    let stops = async {
        // A sender that is gone means the same: nobody serves any more.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        let message = "The service stops. Open the stream again after 1 second.";
        Error::new(Kind::ServiceUnavailable { retry_after_secs: 1 }, message)
    };
    let is_late = async {
        match within {
            Some(within) => tokio::time::sleep(within).await,
            None => std::future::pending().await,
        }
        deadline::exceeded(within.unwrap_or_default())
    };
    let loses_rights = async {
        loop {
            let known = rights.borrow_and_update().clone();
            if let Some(refusal) = needs.refusal(&known) {
                return refusal;
            }
            let Rights::Known(caller) = known else {
                confirmed(&open).await;
                continue;
            };
            let look_again = tokio::time::sleep(needs.look_after(caller.key.expires_at));
            tokio::select! {
                // The sender lives as long as a stream of the key is open.
                _ = rights.changed() => {}
                () = look_again => {}
            }
        }
    };
    tokio::select! {
        biased;
        error = loses_rights => error,
        error = stops => error,
        error = is_late => error,
    }
}

/// Waits until the database has said what the key may do.
async fn confirmed(open: &OpenStream) {
    while let Err(error) = open.confirm().await {
        tracing::debug!(
            cause = causes(&error),
            "a stream waits for the database to confirm its key"
        );
        tokio::time::sleep(KEY_EPOCH_POLLED).await;
    }
}

/// The guard of one stream.
struct Guarding {
    over: Pin<Box<dyn Future<Output = Error> + Send>>,
    /// The question to the database for the key, while its known rights do not count.
    confirming: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    open: Arc<OpenStream>,
    needs: Needs,
    trail: Arc<Trail>,
    _counted: Counted,
}

impl Guard for Guarding {
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        // The clock may have passed the expiry before a timer tells.
        let refusal = self.needs.refusal(&self.open.rights.borrow());
        match refusal {
            Some(error) => Poll::Ready(error.into()),
            None => self.over.as_mut().poll(cx).map(Status::from),
        }
    }

    fn poll_may_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.confirming.is_none() {
            let is_known = matches!(*self.open.rights.borrow(), Rights::Known(_));
            if is_known && self.open.is_fresh() {
                return Poll::Ready(());
            }
            let open = Arc::clone(&self.open);
            self.confirming = Some(Box::pin(async move { confirmed(&open).await }));
        }
        if let Some(confirming) = &mut self.confirming {
            ready!(confirming.as_mut().poll(cx));
            self.confirming = None;
        }
        if self.needs.refusal(&self.open.rights.borrow()).is_some() {
            // The next poll tells that the stream is over.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn end(&mut self, cause: Cause) -> Status {
        let error = match cause {
            Cause::Refused(status) => Error::of_status(status).unwrap_or_else(Error::internal),
            Cause::Panicked(panic) => Error::of_panic(panic.as_ref()),
        };
        let error = respond::logged(error);
        let (code, status, _) = error.kind.table();
        // Set once: a stream ends once.
        let _ = self.trail.ended.set((status.as_u16(), code));
        match self.trail.transport {
            Transport::Rest => error.into(),
            Transport::Grpc | Transport::GrpcWeb => {
                respond::status(&error, self.trail.request_id())
            }
        }
    }
}
