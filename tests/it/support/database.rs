//! A database of its own for each test: a new SQLite file, or, where `ORQIT_TEST_DATABASE_URL`
//! names a PostgreSQL server, a database cloned from a template that is migrated once.

use std::path::Path;

use orqit::clock::{Clock, Timestamp};
use orqit::event::{Actor, ActorKind};
use orqit::preconditions::Precondition;
use orqit::service::workspace::created;
use orqit::store::nouns::Noun;
use orqit::store::{NewWorkspace, Settings, Store, Tx, User, Workspace};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// Where a PostgreSQL server is, when the suite is to run on one.
pub const SERVER_URL: &str = "ORQIT_TEST_DATABASE_URL";

/// When a manual clock begins: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp(1_767_225_600_000);

/// A database that goes when the test does.
pub struct TestDatabase {
    url: String,
    home: Home,
}

enum Home {
    Sqlite {
        _directory: TempDir,
    },
    /// A SQLite file in a folder that somebody else removes.
    Elsewhere,
    Postgres {
        server_url: String,
        name: String,
    },
}

impl TestDatabase {
    /// A new database.
    pub async fn create() -> Self {
        match std::env::var(SERVER_URL) {
            Ok(server_url) => Self::clone_template(server_url).await,
            Err(_) => {
                let directory = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", directory.path().join("orqit.db").display());
                Self { url, home: Home::Sqlite { _directory: directory } }
            }
        }
    }

    /// A new SQLite database in this file.
    pub fn at(file: &Path) -> Self {
        Self { url: format!("sqlite://{}", file.display()), home: Home::Elsewhere }
    }

    async fn clone_template(server_url: String) -> Self {
        let template = template(&server_url).await;
        let name = format!("orqit_test_{}", orqit::id::base62(12).to_lowercase());
        let server = Database::connect(&server_url).await.unwrap();
        let create = format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy");
        server.execute_unprepared(&create).await.unwrap();
        server.close().await.unwrap();
        let url = sibling(&server_url, &name);
        Self { url, home: Home::Postgres { server_url, name } }
    }

    /// What to open it with.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Opens it as the service would.
    pub async fn open(&self, clock: Clock) -> Store {
        self.open_with(&Settings::default(), clock).await
    }

    /// Opens it with other settings.
    pub async fn open_with(&self, settings: &Settings, clock: Clock) -> Store {
        Store::open(&self.url, settings, clock).await.unwrap()
    }

    /// Takes away the schema that the template has.
    pub async fn empty(&self) {
        if is_postgres() {
            let empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
            self.connect().await.execute_unprepared(empty).await.unwrap();
        }
    }

    /// Connects to it beside the store, to see what the store does not show.
    pub async fn connect(&self) -> DatabaseConnection {
        Database::connect(&self.url).await.unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Home::Postgres { server_url, name } = &self.home else { return };
        let (server_url, name) = (server_url.clone(), name.clone());
        // The test's own runtime may be on its way out: use another.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let server = Database::connect(&server_url).await.unwrap();
                let drop = format!("DROP DATABASE {name} WITH (FORCE)");
                server.execute_unprepared(&drop).await.unwrap();
                server.close().await.unwrap();
            });
        });
        let _ = dropped.join();
    }
}

/// The name of the migrated template, made by the first test that asks.
async fn template(server_url: &str) -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(|| async {
            let name = format!("orqit_template_{}", std::process::id());
            let server = Database::connect(server_url).await.unwrap();
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            server.execute_unprepared(&drop).await.unwrap();
            server.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
            server.close().await.unwrap();

            let url = sibling(server_url, &name);
            let store = Store::open(&url, &Settings::default(), Clock::System).await.unwrap();
            // A database with connections cannot be cloned.
            store.close().await.unwrap();
            name
        })
        .await
}

/// The URL of another database on the same server.
fn sibling(server_url: &str, name: &str) -> String {
    let (base, query) = server_url.split_once('?').unwrap_or((server_url, ""));
    let (server, _) = base.rsplit_once('/').unwrap();
    format!("{server}/{name}?{query}")
}

/// Whether the suite runs on PostgreSQL.
pub fn is_postgres() -> bool {
    std::env::var(SERVER_URL).is_ok()
}

/// A store with one workspace, `default`, on a clock that stands at [`START`].
pub struct TestStore {
    pub store: Store,
    pub workspace: Workspace,
    pub clock: Clock,
    /// Dropped last: the store's connections go first.
    pub database: TestDatabase,
}

impl TestStore {
    pub async fn create() -> Self {
        let database = TestDatabase::create().await;
        let clock = Clock::manual(START);
        let store = database.open(clock.clone()).await;
        let workspace = insert_workspace(&store, "default").await;
        Self { store, workspace, clock, database }
    }

    /// A row of the workspace, and a change that has locked it.
    pub async fn locked<N: Noun>(&self, id: &str) -> (N, Tx) {
        let locking = self.store.begin_locking(self.workspace.id, actor()).await.unwrap();
        let found = locking.find_for_update(id, &Precondition::default()).await;
        let (row, locking) = found.unwrap();
        (row, locking.done())
    }
}

/// Makes another workspace.
pub async fn insert_workspace(store: &Store, slug: &str) -> Workspace {
    let new = NewWorkspace { slug: slug.to_owned(), name: slug.to_owned(), admin_email: None };
    store.insert_workspace(new, audit_only).await.unwrap()
}

/// Tells of a new workspace in its audit log only, so that its events are those of the test.
pub fn audit_only(tx: &mut Tx, workspace: &Workspace, _: &[User]) {
    tx.audit(created(workspace));
}

/// Somebody to make changes.
pub fn actor() -> Actor {
    Actor { kind: ActorKind::Key, id: "4fQ7x2Lm".to_owned(), name: "Sales portal".to_owned() }
}
