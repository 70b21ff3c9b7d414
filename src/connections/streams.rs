//! The tasks of one HTTP/2 connection: hyper runs each stream as a task of its own.
//!
//! A task whose answer waits too long for its peer is dropped, which resets its stream and leaves the
//! connection to the others.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinSet;

use super::writing::{Patience, Writing};

tokio::task_local! {
    /// The answer that the stream of this task writes, once there is one.
    static WRITING: RefCell<Option<Arc<Writing>>>;
}

/// Tells the stream of this task, if it is one, what it writes from now on; whether it is one.
pub fn write(writing: &Arc<Writing>) -> bool {
    WRITING.try_with(|held| *held.borrow_mut() = Some(Arc::clone(writing))).is_ok()
}

/// The tasks of the streams. Dropping it aborts them.
#[derive(Default)]
pub struct Streams(Arc<Mutex<JoinSet<()>>>);

impl Streams {
    /// Starts tasks that belong to these. Their answers may wait so long for the peer.
    pub fn executor(&self, write_timeout: Duration) -> Executor {
        Executor { tasks: Arc::downgrade(&self.0), write_timeout }
    }

    /// Aborts the tasks and waits until none runs any more.
    pub async fn abort(self) {
        let mut tasks = std::mem::take(&mut *lock(&self.0));
        tasks.shutdown().await;
    }
}

/// The executor of [`Streams::executor`]. The tasks themselves hold one, which therefore must not
/// keep them.
#[derive(Clone)]
pub struct Executor {
    tasks: Weak<Mutex<JoinSet<()>>>,
    write_timeout: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, task: F) {
        // Without its connection there is nobody to answer.
        let Some(tasks) = self.tasks.upgrade() else { return };
        let mut tasks = lock(&tasks);
        // So the set stays as small as the number of streams that a connection may have at a time.
        while tasks.try_join_next().is_some() {}
        let stream = Stream { task: Box::pin(task), patience: Patience::new(self.write_timeout) };
        tasks.spawn(WRITING.scope(RefCell::default(), stream));
    }
}

/// A stream that ends with its task, or once nobody reads its answer.
struct Stream<F> {
    task: Pin<Box<F>>,
    patience: Patience,
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let writing = WRITING.with(|held| held.borrow().clone());
        let over = writing.map(|writing| self.patience.poll_over(&writing, cx));
        if over.is_some_and(|over| over.is_ready()) {
            metrics::counter!("orqit_answers_given_up_total", "by" => "stream").increment(1);
            tracing::debug!("nobody reads the answer: the stream is reset");
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

fn lock(tasks: &Mutex<JoinSet<()>>) -> MutexGuard<'_, JoinSet<()>> {
    // Only the connection's own task takes the lock; a panic under it ends the connection.
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use hyper::rt::Executor as _;

    use super::*;

    fn executor(streams: &Streams) -> Executor {
        streams.executor(Duration::from_secs(60))
    }

    #[tokio::test]
    async fn a_task_that_has_ended_is_not_kept() {
        let streams = Streams::default();
        for _ in 0..100 {
            executor(&streams).execute(async {});
            // The only other task of this runtime runs now.
            tokio::task::yield_now().await;
        }
        assert_eq!(lock(&streams.0).len(), 1);
    }

    #[tokio::test]
    async fn no_task_is_left_after_an_abort() {
        struct Running(Arc<AtomicBool>);
        impl Drop for Running {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let (streams, dropped) = (Streams::default(), Arc::default());
        let (executor, running) = (executor(&streams), Running(Arc::clone(&dropped)));
        executor.execute(async move {
            std::future::pending::<()>().await;
            drop(running);
        });
        streams.abort().await;
        assert!(dropped.load(Ordering::SeqCst));
        // Whatever comes too late is not begun.
        executor.execute(async { panic!("it runs") });
        tokio::task::yield_now().await;
    }
}
