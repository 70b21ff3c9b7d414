//! What the store itself promises about making and changing tickets, users and keys.

use orqit::error::Kind;
use orqit::preconditions::Precondition;
use orqit::store::tickets::{Status, Ticket};
use orqit::store::{ADMIN_USER_ID, MadeBy, NewKey, NewWorkspace, Role, SYSTEM_USER_ID, User};
use sea_orm::ConnectionTrait;

use crate::support::database::{TestStore, actor, audit_only, insert_workspace};
use crate::support::tickets::{RandomTickets, new_ticket};

#[tokio::test]
async fn a_workspace_begins_with_its_administrator_and_its_system_user() {
    let test = TestStore::create().await;
    let reader = test.store.reader(test.workspace.id);
    let admin = reader.find::<User>(ADMIN_USER_ID).await.unwrap().unwrap();
    assert_eq!((admin.role, admin.email.as_str()), (Role::Admin, "admin@default.invalid"));
    let system = reader.find::<User>(SYSTEM_USER_ID).await.unwrap().unwrap();
    assert_eq!(system.role, Role::System);
    let found = test.store.find_workspace_by_slug("default").await.unwrap();
    assert_eq!(found.as_ref(), Some(&test.workspace));
    assert_eq!(test.store.list_workspaces().await.unwrap().first(), Some(&test.workspace));

    let again =
        NewWorkspace { slug: "default".to_owned(), name: "Again".to_owned(), admin_email: None };
    let refused = test.store.insert_workspace(again, audit_only).await.unwrap_err();
    assert_eq!(refused.kind, Kind::AlreadyExists);
    assert_eq!(test.store.list_workspaces().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_address_is_unique_in_its_workspace_whatever_its_case() {
    let test = TestStore::create().await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    let user = User::new("Eve", "Eve@Example.com", Role::EndUser, tx.now());
    let eve = tx.insert(user.clone()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(eve.id, 3);

    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    let same = User::new("Eve", "eve@example.COM", Role::EndUser, tx.now());
    assert_eq!(tx.insert(same).await.unwrap_err().kind, Kind::AlreadyExists);
    drop(tx);

    let tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    let found = tx.find_folded("email_key", "EVE@example.com").await.unwrap();
    assert_eq!(found, Some(eve));
    drop(tx);
    let tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    assert_eq!(tx.missing::<User>(&[9, 1, 7, 3, 7, -1]).await.unwrap(), [-1, 7, 9]);
    drop(tx);

    let other = insert_workspace(&test.store, "other").await;
    let mut tx = test.store.begin(other.id, actor()).await.unwrap();
    tx.insert(user).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_key_is_found_by_its_id_with_its_workspace() {
    let test = TestStore::create().await;
    let new = NewKey {
        key_id: "4fQ7x2Lm".to_owned(),
        key_hash: [7; 32],
        name: "Sales portal".to_owned(),
        description: None,
        scopes: vec!["tickets:create".to_owned(), "tickets:read".to_owned()],
        requested_scopes: vec!["ticket-index".to_owned()],
        per_minute: 60,
        group_per_minute: 0,
        expires_at: None,
        created_by: Some(ADMIN_USER_ID),
        last_four: "9xQ2".to_owned(),
        made_by: MadeBy::Operator,
    };
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    tx.insert_key(new.clone()).await.unwrap();
    tx.commit().await.unwrap();

    let key = test.store.find_key("4fQ7x2Lm").await.unwrap().unwrap();
    assert_eq!(key.workspace, test.workspace);
    assert_eq!((key.scopes, key.key_hash), (new.scopes.clone(), [7; 32]));
    assert_eq!(test.store.find_key("4fQ7x2LM").await.unwrap(), None);
    let reader = test.store.reader(test.workspace.id);
    assert_eq!(reader.find_key("4fQ7x2Lm").await.unwrap().unwrap().name, "Sales portal");

    let other = insert_workspace(&test.store, "other").await;
    let mut tx = test.store.begin(other.id, actor()).await.unwrap();
    assert_eq!(tx.insert_key(new).await.unwrap_err().kind, Kind::AlreadyExists);
}

#[tokio::test]
async fn tickets_are_numbered_from_one_in_each_workspace_and_seen_in_no_other() {
    let test = TestStore::create().await;
    let other = insert_workspace(&test.store, "other").await;
    for workspace in [test.workspace.id, other.id] {
        let mut tx = test.store.begin(workspace, actor()).await.unwrap();
        assert_eq!(tx.insert_ticket(new_ticket("first")).await.unwrap().id, 1);
        tx.commit().await.unwrap();
    }
    let mut tx = test.store.begin(other.id, actor()).await.unwrap();
    let second = tx.insert_ticket(new_ticket("second")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(test.store.reader(other.id).find::<Ticket>(2).await.unwrap(), Some(second));
    assert_eq!(test.store.reader(test.workspace.id).find::<Ticket>(2).await.unwrap(), None);
}

#[tokio::test]
async fn a_ticket_reads_back_as_it_was_written() {
    let test = TestStore::create().await;
    RandomTickets::insert_users(&test).await;
    for ticket in RandomTickets::seeded(1).insert(&test, 100).await {
        let read = test.store.reader(test.workspace.id).find::<Ticket>(ticket.id).await.unwrap();
        assert_eq!(read, Some(ticket));
    }
}

#[tokio::test]
async fn an_external_id_is_unique_in_its_source() {
    let test = TestStore::create().await;
    let mut new = new_ticket("imported");
    new.external_source = Some("jira".to_owned());
    new.external_id = Some("OPS-1".to_owned());
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    tx.insert_ticket(new.clone()).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    let refused = tx.insert_ticket(new.clone()).await.unwrap_err();
    assert_eq!(refused.kind, Kind::AlreadyExists);
    assert!(refused.message.contains("\"jira\"") && refused.message.contains("\"OPS-1\""));
    drop(tx);

    new.external_source = Some("zendesk".to_owned());
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    let imported = tx.insert_ticket(new).await.unwrap();
    let mut moved = imported.clone();
    moved.external_source = Some("jira".to_owned());
    let refused = tx.update(&imported, moved).await.unwrap_err();
    assert_eq!(refused.kind, Kind::AlreadyExists);
}

#[tokio::test]
async fn an_update_of_an_outdated_ticket_is_refused() {
    let test = TestStore::create().await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    let first = tx.insert_ticket(new_ticket("first")).await.unwrap();
    tx.commit().await.unwrap();

    test.clock.advance_millis(1_500);
    let (before, mut tx) = test.locked::<Ticket>("1").await;
    let mut after = before.clone();
    after.status = Status::Resolved;
    after.tags = vec!["vpn".to_owned()];
    let second = tx.update(&before, after.clone()).await.unwrap();
    assert_eq!((second.version, second.updated_at), (2, first.updated_at.plus_millis(1_500)));
    let refused = tx.update(&first, after).await.unwrap_err();
    assert_eq!(refused.kind, Kind::VersionConflict);
    tx.commit().await.unwrap();
    let read = test.store.reader(test.workspace.id).find::<Ticket>(1).await.unwrap();
    assert_eq!(read, Some(second));
}

#[tokio::test]
async fn the_tree_of_tickets_is_known_upwards_and_downwards() {
    let test = TestStore::create().await;
    let locking = test.store.begin_locking(test.workspace.id, actor()).await.unwrap();
    let mut tx = locking.lock_parents().await.unwrap().done();
    for parent_id in [None, Some(1), Some(2), Some(1), None] {
        let mut new = new_ticket("of a tree");
        new.parent_id = parent_id;
        tx.insert_ticket(new).await.unwrap();
    }
    assert_eq!(tx.ancestors(3).await.unwrap(), [2, 1]);
    assert_eq!(tx.ancestors(1).await.unwrap(), [0_i64; 0]);
    assert_eq!(tx.subtree_height(1).await.unwrap(), 2);
    assert_eq!(tx.subtree_height(4).await.unwrap(), 0);
    assert_eq!(tx.missing::<Ticket>(&[6, 3, 1]).await.unwrap(), [6]);
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_moves_at_once_cannot_close_a_circle() {
    let test = TestStore::create().await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    for _ in 0..2 {
        tx.insert_ticket(new_ticket("of a tree")).await.unwrap();
    }
    tx.commit().await.unwrap();

    for _ in 0..10 {
        let moves = [("1", 1, 2), ("2", 2, 1)].map(|(name, id, parent_id)| {
            let (store, workspace) = (test.store.clone(), test.workspace.id);
            tokio::spawn(async move {
                let locking = store.begin_locking(workspace, actor()).await.unwrap();
                let locking = locking.lock_parents().await.unwrap();
                let found = locking.find_for_update::<Ticket>(name, &Precondition::default()).await;
                let (before, locking) = found.unwrap();
                let mut tx = locking.done();
                if tx.ancestors(parent_id).await.unwrap().contains(&id) {
                    return false;
                }
                let mut after = before.clone();
                after.parent_id = Some(parent_id);
                tx.update(&before, after).await.unwrap();
                tx.commit().await.unwrap();
                true
            })
        });
        let [first, second] = moves;
        assert!(first.await.unwrap() != second.await.unwrap(), "exactly one of them may move");
        for id in ["1", "2"] {
            let (before, mut tx) = test.locked::<Ticket>(id).await;
            let mut after = before.clone();
            after.parent_id = None;
            tx.update(&before, after).await.unwrap();
            tx.commit().await.unwrap();
        }
    }
}

#[tokio::test]
async fn no_row_can_point_into_another_workspace() {
    let test = TestStore::create().await;
    let other = insert_workspace(&test.store, "other").await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    let user = User::new("Eve", "eve@example.com", Role::EndUser, tx.now());
    assert_eq!(tx.insert(user).await.unwrap().id, 3);
    tx.commit().await.unwrap();

    let mut tx = test.store.begin(other.id, actor()).await.unwrap();
    let mut new = new_ticket("user 3 is of another workspace");
    new.assignee_id = Some(3);
    assert_eq!(tx.insert_ticket(new).await.unwrap_err().kind, Kind::Internal);
}

#[tokio::test]
async fn tags_watchers_and_counts_say_what_the_tickets_say() {
    let test = TestStore::create().await;
    RandomTickets::insert_users(&test).await;
    let tickets = RandomTickets::seeded(5).insert(&test, 300).await;
    let database = test.database.connect().await;
    let count = async |query: &str| -> i64 {
        let query = sea_orm::Statement::from_string(database.get_database_backend(), query);
        database.query_one_raw(query).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    let tags: usize = tickets.iter().map(|ticket| ticket.tags.len()).sum();
    assert_eq!(count("SELECT COUNT(*) FROM ticket_tags").await, tags as i64);
    let watchers: usize = tickets.iter().map(|ticket| ticket.watcher_user_ids.len()).sum();
    assert_eq!(count("SELECT COUNT(*) FROM ticket_watchers").await, watchers as i64);
    let wrong = "SELECT COUNT(*) FROM facet_counts c WHERE c.noun = 1 AND c.facet > 0 AND c.row_count <> \
                 (SELECT COUNT(*) FROM tickets t \
                  WHERE t.workspace_id = c.workspace_id AND t.facet = c.facet)";
    assert_eq!(count(wrong).await, 0);
    assert_eq!(count("SELECT row_count FROM facet_counts WHERE noun = 1 AND facet = 0").await, 300);
}
