//! Tickets and users are found by their words, alike on both databases.

use orqit::pb;
use orqit::store::nouns::{Condition, Direction, Noun, Query};
use orqit::store::tickets::{NewTicket, PageRequest, Position, Ticket, TicketFilter};
use orqit::store::{Page, Role, User, users};
use serde_json::{Value, json};

use crate::support::database::{TestStore, actor};
use crate::support::requests::vpn_with;
use crate::support::rest::Rest;
use crate::support::server::{Orqit, with_key};
use crate::support::tickets::new_ticket;

const SCOPES: &[&str] = &["tickets:create", "tickets:read", "tickets:write"];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn ids(rows: &Value) -> Vec<i64> {
    rows.as_array().expect("a list").iter().map(|row| row["id"].as_i64().expect("an id")).collect()
}

async fn found(rest: &Rest, q: &str, more: &str) -> Vec<i64> {
    ids(&rest.get(&format!("/tickets?q={}{more}", encoded(q))).await.data(200))
}

async fn file(rest: &Rest, title: &str, description: &str) -> i64 {
    let with = vpn_with(json!({ "title": title, "description": description }));
    rest.post("/tickets", with).await.data(201)["id"].as_i64().unwrap()
}

#[tokio::test]
async fn each_word_is_found_as_the_beginning_of_a_word_whatever_its_case_and_marks() {
    let orqit = Orqit::start().await;
    let key = orqit.key(SCOPES).await;
    let rest = orqit.rest(&key);
    for (title, description) in [
        ("Printer prints blank pages", "The second floor, near O'Reilly"),
        ("VPN drops", "Since the update to 10.2.1 on printers.example.com"),
        ("Grüße aus der Straße", "ΟΔΟΣ und İstanbul, Éléonore"),
        ("東京都のプリンター", "프린터가 고장 났어요"),
        ("שָׁלוֹם", "مُحَمَّد कृपया ﬁle Ａｂｃ"),
    ] {
        file(&rest, title, description).await;
    }
    let mut tickets = orqit.tickets().await;
    for (q, expected) in [
        ("print", &[2, 1][..]),
        ("PRINTER", &[2, 1]),
        ("printer page", &[1]),
        ("page printer second", &[1]),
        ("prin pri p", &[2, 1]),
        ("rinter", &[]),
        ("printer vpn nothing", &[]),
        ("reilly", &[1]),
        ("o'reilly", &[1]),
        ("10.2", &[2]),
        ("example com", &[2]),
        ("grusse", &[3]),
        ("GRÜẞE strasse", &[3]),
        ("οδος", &[3]),
        ("istanbul eleonore", &[3]),
        ("e\u{301}le", &[3]),
        ("東", &[4]),
        ("東京", &[4]),
        ("프린", &[4]),
        ("שלום", &[5]),
        ("محمد", &[5]),
        ("कृपया", &[5]),
        ("file abc", &[5]),
    ] {
        assert_eq!(found(&rest, q, "").await, expected, "{q}");
        let request = pb::ListTicketsRequest { q: Some(q.to_owned()), ..Default::default() };
        let listed = tickets.list_tickets(with_key(&key, request)).await.unwrap().into_inner();
        let listed: Vec<_> = listed.tickets.iter().map(|ticket| ticket.id).collect();
        assert_eq!(listed, expected, "{q} by gRPC");
    }
}

#[tokio::test]
async fn whatever_is_searched_for_is_text() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let one = file(&rest, "NEAR the printer AND NOT OR", "words").await;
    let long = "ü".repeat(3_000);
    for (q, expected) in [
        ("*", &[][..]),
        (" ", &[]),
        ("\"", &[]),
        ("🙂 … — ()", &[]),
        ("\" OR *", &[one]),
        ("NEAR(the printer)", &[one]),
        ("printer AND NOT", &[one]),
        ("title:printer", &[]),
        ("-printer", &[one]),
        ("^printer", &[one]),
        ("printer*", &[one]),
        ("pri%nter", &[]),
        ("'printer':* & !'words'", &[one]),
        ("printer\\", &[one]),
        ("1:printer", &[]),
        (long.as_str(), &[]),
    ] {
        assert_eq!(found(&rest, q, "").await, expected, "{q}");
        assert_eq!(found(&rest, q, "&sort=relevance").await, expected, "{q}");
        assert_eq!(found(&rest, q, "&sort=dueAt&cursor=start").await, expected, "{q}");
    }
    let most: Vec<_> = (100..164).map(|number| format!("x{number}")).collect();
    let most = most.join(" ");
    assert_eq!(found(&rest, &most, "").await, Vec::<i64>::new());
    for (query, field) in [
        (format!("q={}", encoded(&format!("{most} y"))), "q"),
        (format!("q={}", "a".repeat(10_001)), "q"),
        ("q=".to_owned(), "q"),
        ("q=a&q=b".to_owned(), "q"),
        ("sort=relevance".to_owned(), "sort"),
        ("sort=relevance&q=a&cursor=start".to_owned(), "sort"),
        ("sort=-relevance&q=a".to_owned(), "sort"),
    ] {
        let answer = rest.get(&format!("/tickets?{query}")).await;
        assert_eq!(answer.wrong_fields(), [field], "{query}");
    }
    let empty = rest.get("/tickets?q=*").await.json();
    let meta = json!({
        "page": 1, "perPage": 20, "totalCount": 0, "hasMore": false, "nextCursor": null,
        "totalIsBound": false,
    });
    assert_eq!(empty["meta"], meta);
    assert_eq!(rest.get(&format!("/tickets?q={}", "a".repeat(10_000))).await.data(200), json!([]));
}

#[tokio::test]
async fn what_is_found_follows_every_change_and_stays_within_its_workspace() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let other = orqit.workspace("other").await;
    let of_other = orqit.rest(&orqit.key_of(&other, SCOPES).await);
    file(&of_other, "Printer of others", "secret").await;
    file(&rest, "Printer", "old words").await;
    let comments = "/tickets/1/comments";
    for (body, visibility) in [("Toner is empty", "PUBLIC"), ("Ask Zoe", "INTERNAL")] {
        let comment = json!({"body": body, "visibility": visibility});
        rest.post(comments, comment).await.data(201);
    }
    rest.post(comments, json!({"body": "Toner again, old too"})).await.data(201);
    for (q, expected) in [("toner printer", 1), ("zoe", 0), ("again", 1), ("secret", 0)] {
        assert_eq!(found(&rest, q, "").await.len(), expected, "{q}");
    }
    assert_eq!(found(&of_other, "printer", "").await, [1]);
    assert_eq!(found(&of_other, "toner", "").await, Vec::<i64>::new());
    rest.patch("/tickets/1", json!({"title": "Scanner", "description": "new"})).await.data(200);
    for (q, expected) in [("printer", 0), ("scanner new toner", 1), ("words", 0), ("old", 1)] {
        assert_eq!(found(&rest, q, "").await.len(), expected, "{q}");
    }
}

#[tokio::test]
async fn the_best_comes_first_by_relevance() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    file(&rest, "Network", "of the office").await;
    file(&rest, "Networking", "course").await;
    file(&rest, "Mail", "no network").await;
    file(&rest, "Mail", "networks").await;
    file(&rest, "Mail", "slow").await;
    rest.post("/tickets/5/comments", json!({"body": "It is the network"})).await.data(201);
    file(&rest, "Network", "again").await;
    file(&rest, "Mail", "nothing").await;
    let ranked = [6, 1, 2, 3, 4, 5];
    assert_eq!(found(&rest, "network", "&sort=relevance").await, ranked);
    assert_eq!(found(&rest, "network mail", "&sort=relevance").await, [3, 4, 5]);
    for (page, expected) in [(1, &ranked[..2]), (2, &ranked[2..4]), (3, &ranked[4..]), (4, &[])] {
        let path = format!("/tickets?q=network&sort=relevance&perPage=2&page={page}");
        let answer = rest.get(&path).await;
        assert_eq!(ids(&answer.data(200)), expected);
        let meta = &answer.json()["meta"];
        assert_eq!((&meta["totalCount"], &meta["nextCursor"]), (&json!(6), &Value::Null));
        assert_eq!(meta["hasMore"], page < 3, "{page}");
    }
    rest.patch("/tickets/1", json!({"status": "RESOLVED"})).await.data(200);
    assert_eq!(found(&rest, "network", "&sort=relevance&status=RESOLVED").await, [1]);
    assert_eq!(found(&rest, "network", "&status=OPEN&sort=createdAt").await, [2, 3, 4, 5, 6]);
    assert_eq!(found(&rest, "network", "&sort=relevance&perPage=100&page=11").await, [0; 0]);
}

#[tokio::test]
async fn users_are_found_by_name_and_address() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["users:read", "users:write"]).await;
    for (name, email) in [("Zoë Müller", "zm@corp.example"), ("Ana", "ana.muller@corp.example")] {
        let user = json!({"displayName": name, "email": email});
        rest.post("/users", user).await.data(201);
    }
    let found = async |query: &str| ids(&rest.get(&format!("/users?q={query}")).await.data(200));
    assert_eq!(found("mull").await, [4, 3]);
    assert_eq!(found("zoe%20corp").await, [3]);
    assert_eq!(found("muller&sort=displayName").await, [4, 3]);
    assert_eq!(found("muller&role=ADMIN").await, [0; 0]);
    assert_eq!(found("example&role=END_USER&sort=createdAt&cursor=start").await, [3, 4]);
    assert_eq!(rest.get("/users?q=a&sort=relevance").await.wrong_fields(), ["sort"]);
    rest.patch("/users/4", json!({"displayName": "Bea"})).await.data(200);
    assert_eq!(found("ana").await, [4], "by the address");
    assert_eq!(found("bea").await, [4]);
}

/// So many that the index of SQLite has taken most of them in, and some wait.
const TICKETS: usize = 300;

#[tokio::test]
async fn a_search_is_read_on_in_every_order_beside_any_filter() {
    let test = TestStore::create().await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    for number in 0..TICKETS {
        let title = format!("w{} m{}", number % 3, number % 7);
        let tags = if number % 2 == 0 { vec!["even".to_owned()] } else { Vec::new() };
        tx.insert_ticket(NewTicket { tags, ..new_ticket(&title) }).await.unwrap();
    }
    tx.commit().await.unwrap();
    for id in ["4", "290"] {
        let (before, mut tx) = test.locked::<Ticket>(id).await;
        let after = Ticket { title: "w0 m0 changed".to_owned(), ..before.clone() };
        tx.update(&before, after).await.unwrap();
        tx.commit().await.unwrap();
    }
    let reader = test.store.reader(test.workspace.id);
    for tag in [None, Some("even".to_owned())] {
        for sort in crate::ticket_lists::all_sorts() {
            let filter = TicketFilter {
                words: Some("m0 w0".to_owned()),
                tag: tag.clone(),
                ..TicketFilter::default()
            };
            let query = filter.query(sort.order());
            let mut seen = read_on(&reader, &query).await;
            let whole = PageRequest { per_page: 100, position: Position::Page(1) };
            let whole: Page<Ticket> = reader.list(&query, &whole).await.unwrap();
            let listed: Vec<_> = whole.rows.iter().map(|ticket| ticket.id).collect();
            assert_eq!((&listed, whole.total_count), (&seen, Some(seen.len() as i64)));
            seen.sort_unstable();
            let expected = (1..=TICKETS).filter(|id| {
                let has_words = (id - 1) % 21 == 0 || [4, 290].contains(id);
                has_words && (tag.is_none() || (id - 1) % 2 == 0)
            });
            assert_eq!(seen, expected.map(|id| id as i64).collect::<Vec<_>>(), "{sort:?}");
        }
    }
}

async fn read_on(reader: &orqit::store::Reader<'_>, query: &Query) -> Vec<i64> {
    let (mut seen, mut position) = (Vec::new(), Position::Start);
    loop {
        let page = PageRequest { per_page: 4, position };
        let found: Page<Ticket> = reader.list(query, &page).await.unwrap();
        seen.extend(found.rows.iter().map(|ticket| ticket.id));
        match found.next {
            Some(next) => position = Position::After(next),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn more_than_ten_thousand_are_counted_as_ten_thousand() {
    let test = TestStore::create().await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    for number in 0..10_003 {
        // The first half is named apart, so that a page of it is far from the newest.
        let name = if number < 5_000 { "Old" } else { "New" };
        let email = format!("user-{number}@example.com");
        tx.insert(User::new(name, &email, Role::EndUser, tx.now())).await.unwrap();
    }
    tx.commit().await.unwrap();
    let reader = test.store.reader(test.workspace.id);
    let list = |text: &str, role: Option<Role>, direction: Direction| {
        let words = Condition::search(&users::WORDS, text);
        let role = Condition::dimension(&users::ROLE, role.map(Role::as_i16));
        Query::all(User::table().orders[0], direction)
            .filter([Some(words), role].into_iter().flatten())
    };
    let total = async |text: &str, role: Option<Role>| {
        let page = PageRequest { per_page: 2, position: Position::Page(1) };
        let list = list(text, role, Direction::Descending);
        let found: Page<User> = reader.list(&list, &page).await.unwrap();
        let ids: Vec<_> = found.rows.iter().map(|user| user.id).collect();
        (ids, found.total_count.unwrap(), found.total_is_bound)
    };
    let last = 10_005;
    assert_eq!(total("example", None).await, (vec![last, last - 1], 10_000, true));
    assert_eq!(total("example old", None).await, (vec![5_002, 5_001], 5_000, false));
    let end_users = total("example com", Some(Role::EndUser)).await;
    assert_eq!(end_users, (vec![last, last - 1], 10_000, true));
    // They are many, but not among those that are looked through first.
    assert_eq!(total("user example", Some(Role::Admin)).await, (vec![], 0, false));
    let ascending = list("example", None, Direction::Ascending);
    let page = PageRequest { per_page: 2, position: Position::Page(3) };
    let found: Page<User> = reader.list(&ascending, &page).await.unwrap();
    assert_eq!(found.rows.iter().map(|user| user.id).collect::<Vec<_>>(), [7, 8]);
}
