//! The queue of changes for the one connection that writes, and the thread that waits for the disk.
//!
//! A change takes its turn in order of arrival, runs its statements where they are asked for, and
//! passes the turn on before it is committed. The first change of a group queues once more for a turn
//! to COMMIT, behind all that wait by then, and they share it. Whoever has to wait for the disk, or for
//! another process, hands its turn to the thread, which never waits for a turn itself; the next
//! changes queue meanwhile. No thread of the runtime ever waits for either.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use sea_orm::{DbErr, Statement};
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::session::Session;
use crate::error::Error;
use crate::store::Settings;
use crate::store::failure::away;
use crate::store::health::Health;
use crate::store::row::Decode;

/// The duration of a statement after which the runtime's other tasks on the thread get a chance to
/// run.
const STATEMENT_LONG: Duration = Duration::from_millis(1);

/// The turn of a change, which has the connection to itself.
type Turn = OwnedMutexGuard<Session>;

/// A task of the thread. There is but one turn, so there is but one task at a time.
enum Task {
    /// Commits what waits.
    Commit(Turn),
    /// Begins a change that has to wait for something, and gives the turn back.
    Begin(Turn, oneshot::Sender<Result<Turn, DbErr>>),
    /// Commits what waits, closes the connection, and says when that is done.
    Close(Turn, oneshot::Sender<()>),
}

/// The writer of a SQLite database. Clones share its connection.
#[derive(Clone)]
pub(in crate::store) struct SqliteWriter(Arc<Inner>);

struct Inner {
    session: Arc<tokio::sync::Mutex<Session>>,
    tasks: mpsc::Sender<Task>,
    /// The longest time that a change waits for its turn.
    turn_within: Duration,
}

impl SqliteWriter {
    /// A writer of a database file that exists.
    pub(in crate::store) fn open(
        file: &Path,
        settings: &Settings,
        health: Arc<Health>,
    ) -> Result<Self, DbErr> {
        let session = Session::open(file, settings, health)?;
        let session = Arc::new(tokio::sync::Mutex::new(session));
        let (tasks, asked) = mpsc::channel();
        std::thread::Builder::new()
            .name("sqlite-commit".to_owned())
            // Ends when the last writer is dropped, and with it the sender.
            .spawn(move || asked.iter().for_each(run))
            .map_err(|error| away(format!("cannot start a thread to commit on: {error}")))?;
        Ok(Self(Arc::new(Inner { session, tasks, turn_within: settings.acquire_timeout })))
    }

    /// Begins a change when all that came before have passed their turn on.
    pub(in crate::store) async fn begin(&self) -> Result<SqliteChange, DbErr> {
        let mut turn = self.turn().await?;
        if !turn.try_begin()? {
            let (reply, begun) = oneshot::channel();
            self.ask(Task::Begin(turn, reply))?;
            turn = begun.await.map_err(|_| stopped())??;
        }
        Ok(SqliteChange { turn: Some(Mutex::new(turn)), writer: self.clone() })
    }

    /// Checks that changes are written to the files that were opened.
    pub(in crate::store) async fn check(&self) -> Result<(), DbErr> {
        self.turn().await?.check_files()
    }

    /// Closes the connection, after the changes that wait for their commit.
    pub(in crate::store) async fn close(&self) -> Result<(), DbErr> {
        let (reply, closed) = oneshot::channel();
        self.ask(Task::Close(self.turn().await?, reply))?;
        closed.await.map_err(|_| stopped())
    }

    async fn turn(&self) -> Result<Turn, DbErr> {
        let turn = Arc::clone(&self.0.session).lock_owned();
        let turn = tokio::time::timeout(self.0.turn_within, turn).await;
        turn.map_err(|_| away("the changes before this one take too long"))
    }

    fn ask(&self, task: Task) -> Result<(), DbErr> {
        self.0.tasks.send(task).map_err(|_| stopped())
    }

    /// Commits what waits when its turn has come, whatever becomes of who asks.
    fn commit_group(&self) {
        let writer = self.clone();
        tokio::spawn(async move {
            let turn = Arc::clone(&writer.0.session).lock_owned().await;
            let asked = writer.0.tasks.send(Task::Commit(turn));
            if let Err(mpsc::SendError(Task::Commit(mut turn))) = asked {
                turn.doubt(stopped());
            }
        });
    }
}

impl std::fmt::Debug for SqliteWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteWriter").finish_non_exhaustive()
    }
}

/// Carries out a task on the thread.
fn run(task: Task) {
    match task {
        Task::Commit(mut turn) => turn.commit_group(),
        Task::Begin(mut turn, reply) => {
            let begun = turn.begin_waiting();
            if let Err(Ok(mut unwanted)) = reply.send(begun.map(|()| turn)) {
                // Whoever asked is gone.
                unwanted.undo();
            }
        }
        Task::Close(mut turn, reply) => {
            turn.close();
            // Whoever asked may be gone; the connection is closed all the same.
            let _ = reply.send(());
        }
    }
}

fn stopped() -> DbErr {
    away("the thread that commits has stopped")
}

/// A change that has its turn. Dropping it undoes it and passes the turn on.
pub(in crate::store) struct SqliteChange {
    /// The turn; none once it is committed. Never locked by two: it only lets the change be shared.
    turn: Option<Mutex<Turn>>,
    writer: SqliteWriter,
}

impl SqliteChange {
    /// Runs a statement in place, and returns how many rows it wrote.
    pub(in crate::store) async fn execute(&self, statement: &Statement) -> Result<u64, DbErr> {
        let began = Instant::now();
        let done = self.session(|session| session.execute(statement));
        yield_after(began).await;
        done
    }

    /// Reads the rows of a statement by `decode`, in place.
    pub(in crate::store) async fn read<T>(
        &self,
        statement: &Statement,
        decode: Decode<T>,
    ) -> Result<Result<Vec<T>, Error>, DbErr> {
        let began = Instant::now();
        let rows = self.session(|session| session.read(statement, decode));
        yield_after(began).await;
        rows
    }

    /// Passes the turn on, and returns when a COMMIT has made the change last.
    pub(in crate::store) async fn commit(mut self) -> Result<(), DbErr> {
        let (answer, committed) = oneshot::channel();
        let is_first = self.session(|session| session.join(answer))?;
        self.turn = None;
        if is_first {
            self.writer.commit_group();
        }
        committed.await.map_err(|_| stopped())?
    }

    fn session<T>(&self, work: impl FnOnce(&mut Session) -> T) -> T {
        let turn = self.turn.as_ref().expect("only commit takes the turn, and it takes the change");
        work(&mut lock(turn))
    }
}

impl Drop for SqliteChange {
    fn drop(&mut self) {
        if let Some(turn) = &self.turn {
            lock(turn).undo();
        }
    }
}

impl std::fmt::Debug for SqliteChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteChange").finish_non_exhaustive()
    }
}

fn lock(turn: &Mutex<Turn>) -> MutexGuard<'_, Turn> {
    // A statement that panicked has changed nothing that the next could misread.
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn yield_after(began: Instant) {
    if began.elapsed() > STATEMENT_LONG {
        tokio::task::yield_now().await;
    }
}
