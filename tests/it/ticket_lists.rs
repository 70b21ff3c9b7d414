//! Lists of tickets, against what a naive filter over the same tickets answers.

use std::cmp::Ordering;

use orqit::store::Page;
use orqit::store::nouns::Direction;
use orqit::store::tickets::{
    Category, PageRequest, Position, Priority, Source, Status, Ticket, TicketFilter, TicketType,
};
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::support::database::{TestStore, actor, insert_workspace};
use crate::support::tickets::{RandomTickets, SITES, Sort, SortField, TAGS, USERS, new_ticket};

const TICKETS: usize = 1_200;
const RANDOM_FILTERS: usize = 120;

#[tokio::test]
async fn every_list_is_what_a_naive_filter_finds() {
    let test = TestStore::create().await;
    RandomTickets::insert_users(&test).await;
    let mut random = RandomTickets::seeded(7);
    let tickets = random.insert(&test, TICKETS).await;
    insert_noise(&test).await;

    assert_lists(&test, &tickets, &TicketFilter::default(), 500).await;
    for filter in single_filters(&tickets) {
        assert_lists(&test, &tickets, &filter, 97).await;
    }
    for _ in 0..RANDOM_FILTERS {
        let filter = random_filter(&mut random, &tickets);
        let per_page = random.random().random_range(1..=100);
        assert_list(&test, &tickets, &filter, random_sort(&mut random), per_page).await;
    }
}

/// More rows than are sorted at once: they are looked for along the order of the list first.
#[tokio::test]
async fn what_many_tickets_have_in_common_is_listed_like_what_few_have() {
    let test = TestStore::create().await;
    RandomTickets::insert_users(&test).await;
    let tickets = RandomTickets::seeded(23).insert(&test, 1_400).await;
    let oldest = tickets.iter().map(|ticket| ticket.created_at).min();
    let any_status = TicketFilter { status: Status::ALL.to_vec(), ..TicketFilter::default() };
    let any_requester = TicketFilter { requester_ids: USERS.to_vec(), ..TicketFilter::default() };
    let since = TicketFilter { created_after: oldest, ..TicketFilter::default() };
    let changed = TicketFilter { updated_since: oldest, ..TicketFilter::default() };
    for filter in [&any_status, &any_requester, &since, &changed] {
        let found = tickets.iter().filter(|ticket| passes(ticket, filter)).count();
        assert!(found > 1_000, "{found} {filter:?}");
        assert_lists(&test, &tickets, filter, 97).await;
    }
    // With something else that most of them lack.
    for more in [
        TicketFilter { tag: Some(TAGS[0].to_owned()), ..since.clone() },
        TicketFilter { status: vec![Status::Open], ..since.clone() },
        TicketFilter { status: vec![Status::Closed], unassigned: Some(true), ..any_requester },
        TicketFilter { assignee_ids: vec![3], ..changed },
        TicketFilter { external_source: Some("jira".to_owned()), ..since },
    ] {
        assert_lists(&test, &tickets, &more, 20).await;
    }
}

/// Another workspace with tickets of the same kinds: none of them may ever appear.
async fn insert_noise(test: &TestStore) {
    let other = insert_workspace(&test.store, "other").await;
    let mut tx = test.store.begin(other.id, actor()).await.unwrap();
    for _ in 0..50 {
        let mut new = new_ticket("of another workspace");
        new.tags = vec![TAGS[0].to_owned()];
        new.assignee_id = Some(1);
        tx.insert_ticket(new).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn assert_lists(test: &TestStore, tickets: &[Ticket], filter: &TicketFilter, per_page: u32) {
    for sort in all_sorts() {
        assert_list(test, tickets, filter, sort, per_page).await;
    }
}

/// Walks the list by cursor and by page number; both must be the naive list, whole.
async fn assert_list(
    test: &TestStore,
    tickets: &[Ticket],
    filter: &TicketFilter,
    sort: Sort,
    per_page: u32,
) {
    let expected = naive_list(tickets, filter, sort);
    let context = format!("{filter:?} {sort:?}, {per_page} a page");
    let reader = test.store.reader(test.workspace.id);
    let query = filter.query(sort.order());

    let mut walked: Vec<Ticket> = Vec::new();
    let mut position = Position::Page(1);
    loop {
        let request = PageRequest { per_page, position };
        let page: Page<Ticket> = reader.list(&query, &request).await.unwrap();
        // Only a page that was asked for by number tells the total.
        let is_counted = matches!(request.position, Position::Page(_));
        let total = is_counted.then_some(expected.len() as i64);
        assert_eq!(page.total_count, total, "total of {context}");
        walked.extend(page.rows);
        let Some(next) = page.next else { break };
        // The cursor goes through its text, as a caller's does.
        let text = query.encode::<Ticket>(test.workspace.id, &next);
        let next = query.decode::<Ticket>(test.workspace.id, &text).unwrap();
        position = Position::After(next);
    }
    assert_eq!(ids(&walked), ids(&expected), "walk of {context}");
    assert_eq!(walked, expected, "tickets of {context}");

    let pages = expected.len().div_ceil(per_page as usize) + 2;
    for number in [1, 2, pages / 2, pages - 1, pages] {
        let number = number.max(1);
        let request = PageRequest { per_page, position: Position::Page(number as u32) };
        let page: Page<Ticket> = reader.list(&query, &request).await.unwrap();
        let before = (number - 1) * per_page as usize;
        let rest = expected.get(before..).unwrap_or_default();
        let wanted = &rest[..rest.len().min(per_page as usize)];
        assert_eq!(ids(&page.rows), ids(wanted), "page {number} of {context}");
        assert_eq!(
            page.next.is_some(),
            rest.len() > per_page as usize,
            "page {number} of {context}"
        );
        assert_eq!(page.total_count, Some(expected.len() as i64), "page {number} of {context}");
    }
}

fn naive_list(tickets: &[Ticket], filter: &TicketFilter, sort: Sort) -> Vec<Ticket> {
    let mut found: Vec<_> =
        tickets.iter().filter(|ticket| passes(ticket, filter)).cloned().collect();
    found.sort_by(|a, b| {
        let by_key = |a: i64, b: i64| match sort.direction {
            Direction::Ascending => a.cmp(&b),
            Direction::Descending => b.cmp(&a),
        };
        let order = match sort.field {
            SortField::CreatedAt => by_key(a.created_at.0, b.created_at.0),
            SortField::UpdatedAt => by_key(a.updated_at.0, b.updated_at.0),
            SortField::Priority => by_key(a.priority.as_i16().into(), b.priority.as_i16().into()),
            SortField::DueAt => match (a.due_at, b.due_at) {
                (Some(a), Some(b)) => by_key(a.0, b.0),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            },
        };
        order.then(by_key(a.id, b.id))
    });
    found
}

fn passes(ticket: &Ticket, filter: &TicketFilter) -> bool {
    fn any<T: PartialEq>(wanted: &[T], value: Option<&T>) -> bool {
        wanted.is_empty() || value.is_some_and(|value| wanted.contains(value))
    }
    any(&filter.status, Some(&ticket.status))
        && any(&filter.priority, Some(&ticket.priority))
        && any(&filter.ticket_type, Some(&ticket.ticket_type))
        && any(&filter.category, Some(&ticket.category))
        && any(&filter.assignee_ids, ticket.assignee_id.as_ref())
        && any(&filter.requester_ids, ticket.requester_id.as_ref())
        && any(&filter.parent_ids, ticket.parent_id.as_ref())
        && filter.tag.as_ref().is_none_or(|tag| ticket.tags.contains(tag))
        && (filter.asset_ids.is_empty()
            || filter.asset_ids.iter().any(|id| ticket.asset_ids.contains(id)))
        && filter.terms.iter().all(|any| has_term(ticket, any))
        && filter.unassigned.is_none_or(|unassigned| ticket.assignee_id.is_none() == unassigned)
        && filter.created_after.is_none_or(|bound| ticket.created_at >= bound)
        && filter.created_before.is_none_or(|bound| ticket.created_at < bound)
        && any(&filter.source, Some(&ticket.source))
        && filter.due_after.is_none_or(|bound| ticket.due_at.is_some_and(|at| at >= bound))
        && filter.due_before.is_none_or(|bound| ticket.due_at.is_some_and(|at| at < bound))
        && filter.updated_since.is_none_or(|bound| ticket.updated_at >= bound)
        && (filter.external_source.is_none() || filter.external_source == ticket.external_source)
        && (filter.external_id.is_none() || filter.external_id == ticket.external_id)
}

fn has_term(ticket: &Ticket, any: &[String]) -> bool {
    let mut terms = ticket.custom_fields.iter().flat_map(|(key, value)| value.terms(key));
    terms.any(|term| any.contains(&term))
}

/// Terms of the values that random tickets have.
fn terms(of: &[&str]) -> Vec<String> {
    of.iter().map(|term| (*term).to_owned()).collect()
}

/// Each filter alone, and the pairs that share an index.
pub fn single_filters(tickets: &[Ticket]) -> Vec<TicketFilter> {
    let none = TicketFilter::default;
    let external = tickets.iter().find(|ticket| ticket.external_id.is_some()).unwrap();
    let source = external.external_source.clone();
    let middle = Some(tickets[tickets.len() / 2].created_at);
    vec![
        TicketFilter { status: vec![Status::Open], ..none() },
        TicketFilter { status: vec![Status::Pending, Status::Open], ..none() },
        TicketFilter { priority: vec![Priority::High], ..none() },
        TicketFilter { priority: vec![Priority::High, Priority::Low], ..none() },
        TicketFilter { ticket_type: vec![TicketType::Incident], ..none() },
        TicketFilter { category: vec![Category::Network, Category::Other], ..none() },
        TicketFilter { unassigned: Some(true), ..none() },
        TicketFilter { unassigned: Some(false), ..none() },
        TicketFilter { unassigned: Some(true), status: vec![Status::Open], ..none() },
        TicketFilter { assignee_ids: vec![3], ..none() },
        TicketFilter { assignee_ids: vec![4, 3], ..none() },
        TicketFilter { assignee_ids: vec![3], status: vec![Status::Open], ..none() },
        TicketFilter { requester_ids: vec![3], ..none() },
        TicketFilter { requester_ids: vec![1, 5], unassigned: Some(true), ..none() },
        TicketFilter { parent_ids: vec![1], ..none() },
        TicketFilter { parent_ids: vec![1, 51, 999_999], ..none() },
        TicketFilter { tag: Some(TAGS[1].to_owned()), ..none() },
        TicketFilter { tag: Some(TAGS[2].to_owned()), assignee_ids: vec![3], ..none() },
        TicketFilter { tag: Some(TAGS[3].to_owned()), parent_ids: vec![1], ..none() },
        TicketFilter { tag: Some("no such tag".to_owned()), ..none() },
        TicketFilter { asset_ids: vec![2], ..none() },
        TicketFilter { asset_ids: vec![1, 3], ..none() },
        TicketFilter { asset_ids: vec![1, 3], tag: Some(TAGS[1].to_owned()), ..none() },
        TicketFilter { terms: vec![terms(&["sites=oslo"])], ..none() },
        TicketFilter { terms: vec![terms(&["sites=oslo", "sites=rome"])], ..none() },
        TicketFilter { terms: vec![terms(&["sites=oslo"]), terms(&["sites=rome"])], ..none() },
        TicketFilter {
            terms: vec![terms(&["sites=oslo", "sites=rome"]), terms(&["floor=2"])],
            status: vec![Status::Open],
            ..none()
        },
        TicketFilter { external_source: source.clone(), ..none() },
        TicketFilter { external_source: source.clone(), assignee_ids: vec![3], ..none() },
        TicketFilter {
            external_source: source,
            external_id: external.external_id.clone(),
            ..none()
        },
        TicketFilter { created_after: middle, ..none() },
        TicketFilter { created_before: middle, ..none() },
        TicketFilter { updated_since: middle, ..none() },
        TicketFilter { due_after: middle, ..none() },
        TicketFilter { due_before: middle, updated_since: middle, ..none() },
        TicketFilter { due_after: middle, status: vec![Status::Open], ..none() },
        TicketFilter { source: vec![Source::Email], ..none() },
        TicketFilter { source: vec![Source::Chat, Source::Phone], ..none() },
        TicketFilter { source: vec![Source::Email], created_after: middle, ..none() },
        TicketFilter { updated_since: middle, created_before: middle, ..none() },
        TicketFilter { created_after: middle, status: vec![Status::Closed], ..none() },
        TicketFilter { created_after: middle, assignee_ids: vec![3], ..none() },
    ]
}

fn random_filter(random: &mut RandomTickets, tickets: &[Ticket]) -> TicketFilter {
    let (early, late) = (random.time(), random.time());
    let rng = random.random();
    let mut filter = TicketFilter::default();
    if rng.random_bool(0.4) {
        filter.status = Status::ALL.choose_multiple(rng, 2).copied().collect();
    }
    if rng.random_bool(0.3) {
        filter.priority = Priority::ALL.choose_multiple(rng, 3).copied().collect();
    }
    if rng.random_bool(0.2) {
        filter.ticket_type = TicketType::ALL.choose_multiple(rng, 2).copied().collect();
    }
    if rng.random_bool(0.2) {
        filter.category = Category::ALL.choose_multiple(rng, 3).copied().collect();
    }
    if rng.random_bool(0.2) {
        filter.unassigned = Some(rng.random_bool(0.5));
    }
    if rng.random_bool(0.2) {
        filter.assignee_ids = USERS.choose_multiple(rng, 2).copied().collect();
    }
    if rng.random_bool(0.2) {
        filter.requester_ids = USERS.choose_multiple(rng, 1).copied().collect();
    }
    if rng.random_bool(0.1) {
        filter.parent_ids = tickets.choose_multiple(rng, 2).filter_map(|t| t.parent_id).collect();
    }
    if rng.random_bool(0.2) {
        filter.tag = TAGS.choose(rng).map(|tag| tag.to_string());
    }
    if rng.random_bool(0.2) {
        filter.terms =
            vec![SITES.choose_multiple(rng, 2).map(|it| format!("sites={it}")).collect()];
    }
    if rng.random_bool(0.2) {
        filter.terms.push(vec![format!("floor={}", rng.random_range(0..4))]);
    }
    if rng.random_bool(0.1) {
        filter.external_source = Some("jira".to_owned());
    }
    if rng.random_bool(0.1) {
        filter.source = Source::ALL.choose_multiple(rng, 2).copied().collect();
    }
    filter.due_after = rng.random_bool(0.1).then_some(early);
    filter.due_before = rng.random_bool(0.1).then_some(late);
    filter.created_after = rng.random_bool(0.2).then_some(early);
    filter.created_before = rng.random_bool(0.2).then_some(late);
    filter.updated_since = rng.random_bool(0.2).then_some(early);
    filter
}

/// The eight orders.
pub fn all_sorts() -> Vec<Sort> {
    let fields =
        [SortField::CreatedAt, SortField::UpdatedAt, SortField::Priority, SortField::DueAt];
    let directions = [Direction::Ascending, Direction::Descending];
    fields
        .into_iter()
        .flat_map(|field| directions.map(|direction| Sort { field, direction }))
        .collect()
}

fn random_sort(random: &mut RandomTickets) -> Sort {
    *all_sorts().choose(random.random()).unwrap()
}

fn ids(tickets: &[Ticket]) -> Vec<i64> {
    tickets.iter().map(|ticket| ticket.id).collect()
}

#[tokio::test]
async fn a_walk_neither_skips_nor_repeats_while_tickets_come_in() {
    let test = TestStore::create().await;
    RandomTickets::insert_users(&test).await;
    let mut random = RandomTickets::seeded(11);
    let mut there = random.insert(&test, 150).await;
    let open = TicketFilter {
        status: vec![Status::Open, Status::Pending, Status::Closed],
        ..TicketFilter::default()
    };
    for filter in [TicketFilter::default(), open] {
        for sort in all_sorts() {
            let expected = naive_list(&there, &filter, sort);
            let mut walked = Vec::new();
            let mut position = Position::Page(1);
            loop {
                let page = PageRequest { per_page: 40, position };
                let reader = test.store.reader(test.workspace.id);
                let page: Page<Ticket> =
                    reader.list(&filter.query(sort.order()), &page).await.unwrap();
                walked.extend(ids(&page.rows));
                // Between any two pages tickets come in, on either side of the cursor.
                random.insert(&test, 5).await;
                let Some(next) = page.next else { break };
                position = Position::After(next);
            }
            let mut once = walked.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), walked.len(), "{sort:?} repeats");
            walked.retain(|id| there.iter().any(|ticket| ticket.id == *id));
            assert_eq!(walked, ids(&expected), "{sort:?} skips");

            let reader = test.store.reader(test.workspace.id);
            there = all_tickets(&reader).await;
        }
    }
}

async fn all_tickets(reader: &orqit::store::Reader<'_>) -> Vec<Ticket> {
    let page = PageRequest { per_page: 100_000, position: Position::Page(1) };
    let none = TicketFilter::default();
    reader.list(&none.query(None), &page).await.unwrap().rows
}
