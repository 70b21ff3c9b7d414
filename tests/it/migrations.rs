//! The schema comes by itself, once, however many ask for it.

use orqit::clock::Clock;
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
