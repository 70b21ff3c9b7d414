//! The schema comes by itself, once, however many ask for it.

use std::time::Duration;

use orqit::clock::Clock;
use orqit::error::Kind;
use orqit::store::{Settings, Store};

use crate::support::database::{TestDatabase, insert_workspace};

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_open_an_empty_database_at_once_migrate_it_once() {
    let database = TestDatabase::create().await;
    database.empty().await;
    let opened: Vec<_> = (0..4)
        .map(|_| {
            let url = database.url().to_owned();
            tokio::spawn(
                async move { Store::open(&url, &Settings::default(), Clock::System).await },
            )
        })
        .collect();
    let mut stores = Vec::new();
    for store in opened {
        stores.push(store.await.unwrap().unwrap());
    }
    let workspace = insert_workspace(&stores[0], "default").await;
    for store in stores {
        store.ping().await.unwrap();
        assert_eq!(store.list_workspaces().await.unwrap(), std::slice::from_ref(&workspace));
    }
}

#[tokio::test]
async fn a_new_file_that_another_process_writes_is_opened_once_that_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orqit.db");
    let url = format!("sqlite://{}", file.display());
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("CREATE TABLE other (id); BEGIN IMMEDIATE").unwrap();

    // SQLite refuses the switch to WAL at once, whatever the busy timeout: nothing waits but we.
    let impatient = Settings { sqlite_open_timeout: Duration::ZERO, ..Settings::default() };
    let refused = Store::open(&url, &impatient, Clock::System).await.unwrap_err();
    assert!(matches!(refused.kind, Kind::ServiceUnavailable { .. }), "{refused:?}");

    let opening = tokio::spawn(async move {
        Store::open(&url, &Settings::default(), Clock::System).await.unwrap().ping().await.unwrap();
    });
    // Long enough that the opening is refused before; if it is slower it passes too.
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.execute_batch("COMMIT").unwrap();
    opening.await.unwrap();
}
