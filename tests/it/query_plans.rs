//! No list, however filtered and ordered, reads its whole table; those of requests and their figures
//! stand beside their filters.

use orqit::auth::key::KeyText;
use orqit::clock::Timestamp;
use orqit::store::nouns::Noun;
use orqit::store::nouns::samples::{Sample, samples};
use orqit::store::tickets::{
    Category, CursorKey, NewTicket, PageRequest, Position, Ticket, TicketFilter, Visibility,
};
use orqit::store::{
    AuditFilter, Bounds, CategoryConfig, CustomField, CustomFieldType, KeyStatus, MadeBy,
    NewAuditLog, NewCategory, NewKey, Page, Role, User,
};
use sea_orm::ConnectionTrait;

use crate::support::database::{TestStore, actor, is_postgres};
use crate::support::tickets::{RandomTickets, new_ticket};
use crate::ticket_lists::{all_sorts, single_filters};

const TICKETS: usize = 4_000;

#[tokio::test]
async fn no_list_scans_the_table() {
    let test = TestStore::create().await;
    RandomTickets::insert_users(&test).await;
    let tickets = RandomTickets::seeded(3).insert(&test, TICKETS).await;
    let analyze = if is_postgres() { "VACUUM ANALYZE" } else { "ANALYZE" };
    // With statistics and without them: SQLite usually has none.
    for analyzed in [false, true] {
        if analyzed {
            test.database.connect().await.execute_unprepared(analyze).await.unwrap();
        } else if is_postgres() {
            continue;
        }
        let store = test.database.open(test.clock.clone()).await;
        let reader = store.reader(test.workspace.id);
        let mut filters = single_filters(&tickets);
        filters.push(Default::default());
        for filter in filters {
            for sort in all_sorts() {
                let cursor =
                    CursorKey { value: Some(tickets[TICKETS / 2].created_at.0.into()), id: 5 };
                for position in
                    [Position::Page(1), Position::Page(3), Position::After(cursor.clone())]
                {
                    let page = PageRequest { per_page: 20, position };
                    let plan = reader
                        .explain_list::<Ticket>(&filter.query(sort.order()), &page)
                        .await
                        .unwrap();
                    let narrow = !finds_pages_by_walking(&filter);
                    let scan =
                        plan.iter().find(|line| is_scan(line) || narrow && is_whole_index(line));
                    assert_eq!(
                        scan,
                        None,
                        "{filter:?} {sort:?} {page:?} analyzed {analyzed}:\n{}",
                        plan.join("\n")
                    );
                }
            }
        }
    }
    let mut times: Vec<_> = tickets.iter().map(|ticket| ticket.created_at).collect();
    times.sort_unstable();
    assert_no_scan::<Ticket>(&test, times[TICKETS / 50], times[TICKETS - TICKETS / 50]).await;
}

#[tokio::test]
async fn no_list_of_users_scans_the_table() {
    let test = TestStore::create().await;
    for number in 0..20 {
        test.clock.advance_millis(1000);
        let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
        for place in 0..100 {
            let email = format!("user-{number}-{place}@example.com");
            tx.insert(User::new("User", &email, Role::EndUser, tx.now())).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let now = test.clock.now();
    assert_no_scan::<User>(&test, now.plus_millis(-18_000), now).await;
}

#[tokio::test]
async fn no_list_of_custom_fields_scans_the_table() {
    let test = TestStore::create().await;
    for number in 0..20 {
        test.clock.advance_millis(1000);
        let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
        for place in 0..100 {
            // More than a workspace may have, or every plan would be the same.
            let field = CustomField {
                id: 0,
                key: format!("field_{number}_{place}"),
                label: "Field".to_owned(),
                field_type: CustomFieldType::Text,
                is_required: false,
                bounds: Bounds::default(),
                is_active: place > 0,
                created_at: test.clock.now(),
                updated_at: test.clock.now(),
                version: 1,
            };
            tx.insert(field).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let now = test.clock.now();
    assert_no_scan::<CustomField>(&test, now.plus_millis(-18_000), now).await;
}

#[tokio::test]
async fn no_list_of_categories_scans_the_table() {
    let test = TestStore::create().await;
    for number in 0..20 {
        test.clock.advance_millis(1000);
        let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
        for place in 0..100 {
            let new = NewCategory {
                name: format!("Category {number} {place}"),
                base_category: Category::Other,
                default_priority: None,
                is_active: true,
            };
            tx.insert_category(new).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let now = test.clock.now();
    assert_no_scan::<CategoryConfig>(&test, now.plus_millis(-18_000), now).await;
}

/// Every list that a table can be asked for with one condition or none. `tidy` asks for a call for
/// each noun.
pub async fn assert_no_scan<N: Noun>(test: &TestStore, early: Timestamp, late: Timestamp) {
    let (reader, table) = (test.store.reader(test.workspace.id), N::table().name);
    let analyze = if is_postgres() { "VACUUM ANALYZE" } else { "ANALYZE" };
    test.database.connect().await.execute_unprepared(analyze).await.unwrap();
    for Sample { query, is_narrow, after } in samples::<N>(early, late) {
        for position in [Position::Page(1), Position::Page(3), Position::After(after)] {
            let page = PageRequest { per_page: 20, position };
            let plan = reader.explain_list::<N>(&query, &page).await.unwrap();
            let walks = reader.explain_walks::<N>(&query, &page).await.unwrap();
            assert_eq!(walks.iter().find(|line| is_scan(line)), None, "{}", walks.join("\n"));
            let scan = plan.iter().find(|line| is_scan(line) || is_narrow && is_whole_index(line));
            assert_eq!(scan, None, "{table}: {query:?} {page:?}:\n{}", plan.join("\n"));
        }
    }
}

#[tokio::test]
async fn an_external_id_is_found_by_its_source_however_many_others_have_it() {
    let test = TestStore::create().await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    let of_source = |source: String| NewTicket {
        external_source: Some(source),
        external_id: Some("1".to_owned()),
        ..new_ticket("Shared")
    };
    for number in 0..200 {
        tx.insert_ticket(of_source(format!("source-{number}"))).await.unwrap();
    }
    tx.commit().await.unwrap();
    let filter = TicketFilter {
        external_source: Some("source-7".to_owned()),
        external_id: Some("1".to_owned()),
        ..TicketFilter::default()
    };
    let reader = test.store.reader(test.workspace.id);
    let page = PageRequest { per_page: 20, position: Position::Page(1) };
    for sort in all_sorts() {
        let plan = reader.explain_list::<Ticket>(&filter.query(sort.order()), &page).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("tickets_external_source_external_id_idx"), "{sort:?}:\n{plan}");
        assert!(!plan.contains("tickets_external_id_idx"), "{sort:?}:\n{plan}");
        let found: Page<Ticket> = reader.list(&filter.query(sort.order()), &page).await.unwrap();
        let ids: Vec<_> = found.rows.iter().map(|ticket| ticket.id).collect();
        assert_eq!((ids, found.total_count), (vec![8], Some(1)), "{sort:?}");
    }
}

#[tokio::test]
async fn a_page_with_more_text_than_is_read_in_place_is_whole_up_to_its_bound() {
    let test = TestStore::create().await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    for number in 0..100 {
        let description = format!("{number:>65535}");
        tx.insert_ticket(NewTicket { description, ..new_ticket("Large") }).await.unwrap();
    }
    tx.commit().await.unwrap();
    let reader = test.store.reader(test.workspace.id);
    // 56 of them are more than 3.5 MiB: who reads them by cursor gets no more.
    let [sort, ..] = all_sorts()[..] else { panic!("no order") };
    for (per_page, position, read) in [
        (1, Position::Page(1), 1),
        (4, Position::Page(1), 4),
        (5, Position::Start, 5),
        (20, Position::Page(2), 20),
        (50, Position::Page(1), 50),
        (100, Position::Page(1), 56),
        (100, Position::Start, 56),
    ] {
        let page = PageRequest { per_page, position };
        let found: Page<Ticket> =
            reader.list(&TicketFilter::default().query(sort.order()), &page).await.unwrap();
        let total = matches!(page.position, Position::Page(_)).then_some(100);
        assert_eq!((found.rows.len(), found.total_count), (read, total), "{page:?}");
        assert!(found.next.is_some());
        for ticket in found.rows {
            assert_eq!(ticket.description, format!("{:>65535}", ticket.id - 1));
        }
    }
}

/// The audit log and the keys of a workspace that has had 2,000 of each.
#[tokio::test]
async fn no_list_of_keys_or_of_the_audit_log_scans_its_table() {
    let test = TestStore::create().await;
    for _ in 0..20 {
        let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
        for number in 0..100 {
            let key = KeyText::generate();
            let resource_id = Some(key.id().to_owned());
            tx.insert_key(new_key(&key)).await.unwrap();
            if number > 0 {
                tx.revoke_key(key.id()).await.unwrap();
            }
            let resource_type = if number < 50 { "api_key" } else { "user" };
            tx.audit(NewAuditLog { resource_type, resource_id, ..NewAuditLog::default() });
        }
        tx.commit().await.unwrap();
    }
    let analyze = if is_postgres() { "VACUUM ANALYZE" } else { "ANALYZE" };
    let reader = test.store.reader(test.workspace.id);
    let now = test.clock.now();
    for analyzed in [false, true] {
        if analyzed {
            test.database.connect().await.execute_unprepared(analyze).await.unwrap();
        } else if is_postgres() {
            continue;
        }
        let cursor = CursorKey { value: None, id: 1_000 };
        for position in [Position::Page(1), Position::Page(50), Position::After(cursor)] {
            let page = PageRequest { per_page: 20, position };
            for visibility in [None, Some(Visibility::Internal)] {
                let plan = reader.explain_comments(7, visibility, &page).await.unwrap();
                assert_searched(&plan, "comments", true, &format!("comments, {visibility:?}"));
            }
            let plan = reader.explain_history::<Ticket>(7, &page).await.unwrap();
            assert_searched(&plan, "history", true, "the history of a ticket");
            for filter in audit_filters() {
                let plan = reader.explain_audit_logs(&filter, &page).await.unwrap();
                let is_filtered = filter != AuditFilter::default();
                assert_searched(&plan, "audit_logs", is_filtered, &format!("{filter:?}"));
            }
            for statuses in
                [&[][..], &[KeyStatus::Active], &[KeyStatus::Revoked, KeyStatus::Expired]]
            {
                let plan = reader.explain_keys(statuses, now, &page).await.unwrap();
                assert_searched(&plan, "api_keys", false, &format!("{statuses:?}"));
            }
        }
    }
    let page = PageRequest { per_page: 1, position: Position::Page(1) };
    let logs = reader.list_audit_logs(&AuditFilter::default(), &page).await.unwrap();
    let keys = reader.list_keys(&[], now, &page).await.unwrap();
    // That the workspace was made is in the log too.
    assert_eq!((logs.total_count, keys.total_count), (Some(2_001), Some(2_000)));
    let active = reader.list_keys(&[KeyStatus::Active], now, &page).await.unwrap();
    let users = AuditFilter { resource_type: Some("user".to_owned()), ..AuditFilter::default() };
    let users = reader.list_audit_logs(&users, &page).await.unwrap();
    assert_eq!((active.total_count, users.total_count), (Some(20), Some(1_000)));
}

fn audit_filters() -> Vec<AuditFilter> {
    let actor_id = || Some("actor".to_owned());
    let resource_type = || Some("user".to_owned());
    let resource_id = || Some("1".to_owned());
    let none = AuditFilter::default;
    vec![
        none(),
        AuditFilter { actor_id: actor_id(), ..none() },
        AuditFilter { resource_type: resource_type(), ..none() },
        AuditFilter { resource_type: resource_type(), resource_id: resource_id(), ..none() },
        AuditFilter { actor_id: actor_id(), resource_type: resource_type(), ..none() },
    ]
}

fn new_key(key: &KeyText) -> NewKey {
    NewKey {
        key_id: key.id().to_owned(),
        key_hash: key.hash().0,
        name: "Test".to_owned(),
        description: None,
        scopes: Vec::new(),
        requested_scopes: Vec::new(),
        per_minute: 0,
        group_per_minute: 0,
        expires_at: None,
        created_by: None,
        last_four: key.last_four().to_owned(),
        made_by: MadeBy::Operator,
    }
}

/// Neither the table is read from end to end, nor, if there is a filter, an index by nothing but the
/// workspace; the highest number of all is looked up.
#[track_caller]
fn assert_searched(plan: &[String], table: &str, is_filtered: bool, what: &str) {
    for line in plan {
        let line = line.trim_start().trim_start_matches("-> ").trim_start();
        let scan = match is_postgres() {
            true => line.contains("Seq Scan"),
            false => line.starts_with(&format!("SCAN {table}")),
        };
        assert!(!(scan || is_filtered && is_whole_index(line)), "{what}: {}", plan.join("\n"));
    }
}

/// Whether a page of this list is found by walking along its order until it is full. Every other
/// list has a filter whose index is to be searched by more than the workspace.
fn finds_pages_by_walking(filter: &TicketFilter) -> bool {
    let TicketFilter { status, priority, ticket_type, category, unassigned, .. } = filter.clone();
    let facets = TicketFilter {
        status,
        priority,
        ticket_type,
        category,
        unassigned,
        ..TicketFilter::default()
    };
    *filter == facets
}

/// Whether the line says that an index is searched by nothing but the workspace: read from end to
/// end, where there is one workspace.
fn is_whole_index(line: &str) -> bool {
    line.trim() == "Index Cond: (workspace_id = '1'::bigint)" || line.ends_with("(workspace_id=?)")
}

/// Whether the line of a plan says that a table of tickets is read from end to end.
fn is_scan(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches("-> ").trim_start();
    if is_postgres() {
        return line.contains("Seq Scan on") && !line.contains("facet_counts");
    }
    // SQLite: `SCAN t`, also `SCAN t USING INDEX`; t and x are tickets, g their tags, c counts.
    ["SCAN t", "SCAN x", "SCAN g", "SCAN c"].iter().any(|scan| {
        line.strip_prefix(scan).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}
