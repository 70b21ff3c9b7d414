//! A connection's socket that knows whether it has taken everything that was written to it, and when
//! it last took something; and that is read a piece at a time, so that a peer who sends without end
//! does not keep a thread from the others. While it writes a stream by HTTP/1.1, which may have nothing
//! to write for long, it notices that the peer has gone.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::in_flight::Activity;

/// The bytes that are read of a connection before others have their turn. Frames of HTTP/2 that cost
/// the most to read are then a millisecond's work.
const TURN_BYTES: usize = 16 * 1024;

/// A socket that knows whether it has taken everything that was written to it. The bytes themselves
/// pass unchanged.
pub struct Outgoing<I> {
    io: I,
    activity: Arc<Activity>,
    /// The bytes that were read since other tasks had their turn.
    read: usize,
    /// A byte that was read to find out whether the peer is there.
    ahead: Option<u8>,
}

impl<I> Outgoing<I> {
    pub fn new(io: I, activity: Arc<Activity>) -> Self {
        Self { io, activity, read: 0, ahead: None }
    }

    fn note(&self, written: &Poll<Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(_))) {
            self.activity.sent();
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Outgoing<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if let Some(byte) = self.ahead.take() {
            into.put_slice(&[byte]);
            return Poll::Ready(Ok(()));
        }
        if self.read >= TURN_BYTES {
            self.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let filled = into.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, into);
        self.read = if read.is_pending() { 0 } else { self.read + into.filled().len() - filled };
        read
    }
}

impl<I: AsyncRead + Unpin> Outgoing<I> {
    /// Resolves once the peer sends no more. hyper does not look while it writes an answer, for a
    /// peer may say that it has sent all and wait; but nobody is taken to wait so for a stream,
    /// which has no end.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ahead.is_some() {
            return Poll::Pending;
        }
        let mut byte = [0];
        let mut into = ReadBuf::new(&mut byte);
        match ready!(Pin::new(&mut self.io).poll_read(cx, &mut into)) {
            Ok(()) if !into.filled().is_empty() => {
                self.ahead = Some(byte[0]);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Outgoing<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.activity.set_unflushed(true);
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.activity.set_unflushed(true);
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.activity.set_unflushed(flushed.is_pending());
        if matches!(flushed, Poll::Ready(Ok(())))
            && self.activity.streams()
            && self.poll_gone(cx).is_ready()
        {
            return Poll::Ready(Err(Error::from(ErrorKind::BrokenPipe)));
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
