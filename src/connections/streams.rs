//! The tasks of one HTTP/2 connection: hyper runs each stream as a task of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::task::JoinSet;

/// The tasks of the streams. Dropping it aborts them.
#[derive(Default)]
pub struct Streams(Arc<Mutex<JoinSet<()>>>);

impl Streams {
    /// Starts tasks that belong to these.
    pub fn executor(&self) -> Executor {
        Executor(Arc::downgrade(&self.0))
    }

    /// Aborts the tasks and waits until none runs any more.
    pub async fn abort(self) {
        let mut tasks = std::mem::take(&mut *lock(&self.0));
        tasks.shutdown().await;
    }
}

/// See [`Streams::executor`]. The tasks themselves hold one, which therefore must not keep them.
#[derive(Clone)]
pub struct Executor(Weak<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, task: F) {
        // Without its connection there is nobody to answer.
        let Some(tasks) = self.0.upgrade() else { return };
        let mut tasks = lock(&tasks);
        // So the set stays as small as the number of streams that a connection may have at a time.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
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

    #[tokio::test]
    async fn a_task_that_has_ended_is_not_kept() {
        let streams = Streams::default();
        for _ in 0..100 {
            streams.executor().execute(async {});
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
        let (executor, running) = (streams.executor(), Running(Arc::clone(&dropped)));
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
