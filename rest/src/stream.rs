//! Server-streaming RPCs: what guards an open stream on every protocol, and how REST writes its
//! messages, as Server-Sent Events or as lines of JSON.

use std::any::Any;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Extensions;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tonic::Status;
use tonic::codegen::tokio_stream::Stream;

/// A guard of a stream, by which the layers decide whether it stays open. A stream is polled by one
/// task.
pub trait Guard: Send {
    /// Resolves with the reason once the stream must end, whatever its service would still send.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Status>;

    /// Resolves while a message may be sent.
    fn poll_may_send(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Notes that the stream ends by an error, and gives the status that the client is told.
    fn end(&mut self, cause: Cause) -> Status;
}

/// The error by which a stream ends.
pub enum Cause {
    /// The guard or the service refused to go on.
    Refused(Status),
    /// The service panicked, with this.
    Panicked(Box<dyn Any + Send>),
}

/// The guard of a stream that is about to be opened, on its way through the extensions of the
/// request. It can be taken out once.
#[derive(Clone)]
pub struct StreamGuard(Arc<Mutex<Option<Box<dyn Guard>>>>);

impl StreamGuard {
    /// A guard on its way.
    pub fn new(guard: impl Guard + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(guard)))))
    }

    /// The guard that stands in the extensions, if there is one.
    pub fn take(extensions: &mut Extensions) -> Option<Box<dyn Guard>> {
        let Self(guard) = extensions.remove()?;
        guard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The messages of an open stream, which ends when its guard says so.
pub struct Guarded<M> {
    messages: Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>,
    guard: Option<Box<dyn Guard>>,
    /// A message that may not be sent yet.
    held: Option<M>,
    ended: bool,
}

impl<M> Guarded<M> {
    /// Puts a stream under its guard; without one it ends by itself alone.
    pub fn new<S>(messages: S, guard: Option<Box<dyn Guard>>) -> Self
    where
        S: Stream<Item = Result<M, Status>> + Send + 'static,
    {
        Self { messages: Box::pin(messages), guard, held: None, ended: false }
    }

    fn end(&mut self, cause: Cause) -> Status {
        self.ended = true;
        self.held = None;
        match (&mut self.guard, cause) {
            (Some(guard), cause) => guard.end(cause),
            (None, Cause::Refused(status)) => status,
            (None, Cause::Panicked(_)) => Status::internal("the service panicked"),
        }
    }
}

impl<M: Unpin> Stream for Guarded<M> {
    type Item = Result<M, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(guard) = &mut self.guard
            && let Poll::Ready(status) = guard.poll_over(cx)
        {
            return Poll::Ready(Some(Err(self.end(Cause::Refused(status)))));
        }
        if self.held.is_none() {
            let polled = catch_unwind(AssertUnwindSafe(|| self.messages.as_mut().poll_next(cx)));
            match polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(Some(Ok(message)))) => self.held = Some(message),
                Ok(Poll::Ready(Some(Err(status)))) => {
                    return Poll::Ready(Some(Err(self.end(Cause::Refused(status)))));
                }
                Ok(Poll::Ready(None)) => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
                Err(panic) => return Poll::Ready(Some(Err(self.end(Cause::Panicked(panic))))),
            }
        }
        if let Some(guard) = &mut self.guard {
            ready!(guard.poll_may_send(cx));
        }
        Poll::Ready(self.held.take().map(Ok))
    }
}

/// The bytes that REST writes of one message; empty for a message that says nothing.
pub type Frame = Bytes;

/// The frames of a stream over REST.
pub type Frames = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;

/// The frames of the messages of a stream, each by `frame`.
pub fn frames<M: Unpin + Send + 'static>(
    messages: Guarded<M>,
    format: StreamFormat,
    frame: fn(StreamFormat, &M) -> Frame,
) -> Frames {
    use tonic::codegen::tokio_stream::StreamExt;
    let frames = messages.map(move |message| message.map(|message| frame(format, &message)));
    let is_empty = |frame: &Result<Frame, _>| frame.as_ref().is_ok_and(|frame| frame.is_empty());
    Box::pin(frames.filter(move |frame| !is_empty(frame)))
}

/// The format in which REST writes a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamFormat {
    /// Server-Sent Events.
    #[default]
    Sse,
    /// A JSON document in each line.
    Ndjson,
}

impl StreamFormat {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// A message that is one JSON document, whole.
pub fn message(format: StreamFormat, message: &impl Serialize) -> Frame {
    let mut frame = Vec::with_capacity(512);
    if format == StreamFormat::Sse {
        frame.extend_from_slice(b"data: ");
    }
    finish(frame, format, message)
}

/// An event: over SSE its own id and type and `data`, in a line of JSON `{name: data}`.
pub fn event(
    format: StreamFormat,
    name: &'static str,
    data: &impl Serialize,
    id: Option<&dyn fmt::Display>,
    event_type: Option<&str>,
) -> Frame {
    if format == StreamFormat::Ndjson {
        return finish(Vec::with_capacity(512), format, &Named(name, data));
    }
    let mut head = String::with_capacity(512);
    if let Some(id) = id {
        head.push_str("id: ");
        // A String takes all that is written.
        let _ = writeln!(head, "{id}");
    }
    if let Some(event_type) = event_type {
        head.push_str("event: ");
        // A line end would begin another field.
        head.extend(event_type.chars().filter(|letter| !letter.is_control()));
        head.push('\n');
    }
    head.push_str("data: ");
    finish(head.into_bytes(), format, data)
}

/// A checkpoint: what a client has read up to, without an event. Over SSE it moves the last event id
/// and keeps the connection alive.
pub fn checkpoint(format: StreamFormat, name: &'static str, at: i64) -> Frame {
    match format {
        StreamFormat::Sse => Bytes::from(format!(": {name}\nid: {at}\n\n")),
        StreamFormat::Ndjson => finish(Vec::with_capacity(64), format, &Named(name, &at)),
    }
}

/// The last frame of a stream that ends by an error, whose envelope is `envelope`.
pub fn error(format: StreamFormat, envelope: &[u8]) -> Frame {
    let (head, end): (&[u8], &[u8]) = match format {
        StreamFormat::Sse => (b"event: error\ndata: ", b"\n\n"),
        StreamFormat::Ndjson => (b"", b"\n"),
    };
    [head, envelope, end].concat().into()
}

fn finish(mut frame: Vec<u8>, format: StreamFormat, document: &impl Serialize) -> Frame {
    serde_json::to_writer(&mut frame, document)
        .expect("a Vec takes all bytes, and the keys of generated maps are strings and numbers");
    frame.push(b'\n');
    if format == StreamFormat::Sse {
        frame.push(b'\n');
    }
    frame.into()
}

/// An object with one member.
struct Named<'a, T>(&'static str, &'a T);

impl<T: Serialize> Serialize for Named<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(1))?;
        object.serialize_entry(self.0, self.1)?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_type_cannot_begin_another_field() {
        let frame =
            super::event(super::StreamFormat::Sse, "event", &1, Some(&7), Some("a\nid: 9\rb"));
        assert_eq!(frame, "id: 7\nevent: aid: 9b\ndata: 1\n\n");
    }
}
