//! Tickets for tests that need many, or one of which only a little matters.

use orqit::clock::Timestamp;
use orqit::event::Event;
use orqit::event_type::EventType;
use orqit::store::assets::Asset;
use orqit::store::nouns::{Direction, Noun, Order};
use orqit::store::tickets::{
    Category, CustomValue, CustomValues, NewTicket, Priority, Source, Status, Ticket, TicketType,
};
use orqit::store::webhooks::{Webhook, WebhookStatus};
use orqit::store::{Role, SYSTEM_USER_ID, Tx, User};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::database::{TestStore, actor};

/// The tags that random tickets have.
pub const TAGS: [&str; 4] = ["vpn", "new hire", "a,b", "mäuse"];

/// The options of a custom field that random tickets have some of.
pub const SITES: [&str; 3] = ["oslo", "paris", "rome"];

/// The users that random tickets refer to: administrator, SYSTEM, and three agents.
pub const USERS: [i64; 5] = [1, 2, 3, 4, 5];

/// The assets that random tickets are about.
pub const ASSETS: [i64; 3] = [1, 2, 3];

/// An asset of which nothing but its tag matters.
pub fn new_asset(tag: &str, now: Timestamp) -> Asset {
    Asset {
        id: 0,
        asset_tag: tag.to_owned(),
        name: "Laptop".to_owned(),
        asset_type: 1,
        status: 2,
        serial_number: None,
        manufacturer: None,
        model: None,
        assigned_user_id: None,
        location: None,
        purchase_date: None,
        purchase_cost: None,
        currency: None,
        warranty_expires_at: None,
        notes: None,
        tags: Vec::new(),
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// A ticket of which nothing matters.
pub fn new_ticket(title: &str) -> NewTicket {
    NewTicket {
        title: title.to_owned(),
        description: "It does not work.".to_owned(),
        ticket_type: TicketType::Incident,
        category: Category::Network,
        category_config_id: None,
        priority: Priority::Medium,
        impact: None,
        urgency: None,
        status: Status::Open,
        requester_id: None,
        assignee_id: None,
        watcher_user_ids: Vec::new(),
        parent_id: None,
        asset_ids: Vec::new(),
        tags: Vec::new(),
        due_at: None,
        source: Source::Api,
        external_source: None,
        external_id: None,
        custom_fields: CustomValues::new(),
        created_by: SYSTEM_USER_ID,
    }
}

/// An event of which only the type matters.
pub fn event(event_type: EventType, object: serde_json::Value) -> Event {
    Event {
        event_type,
        topics: vec![event_type.name().to_owned()],
        object,
        changed_fields: Vec::new(),
        previous: serde_json::Map::new(),
        beside: serde_json::Map::new(),
    }
}

/// What a list of tickets is in order of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortField {
    CreatedAt,
    UpdatedAt,
    Priority,
    DueAt,
}

/// The order of a list of tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub field: SortField,
    pub direction: Direction,
}

impl Sort {
    pub fn order(self) -> Option<(&'static Order, Direction)> {
        let name = match self.field {
            SortField::CreatedAt => "createdAt",
            SortField::UpdatedAt => "updatedAt",
            SortField::Priority => "priority",
            SortField::DueAt => "dueAt",
        };
        Some((Ticket::table().order(name).expect("an order"), self.direction))
    }
}

/// Makes tickets of every kind in a fixed random order.
pub struct RandomTickets {
    random: StdRng,
}

impl RandomTickets {
    pub fn seeded(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed) }
    }

    /// Adds the agents that the tickets refer to.
    pub async fn insert_users(test: &TestStore) {
        let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
        for number in 3..=5 {
            let email = format!("agent{number}@example.com");
            tx.insert(User::new("Agent", &email, Role::Agent, tx.now())).await.unwrap();
        }
        for id in ASSETS {
            tx.insert(new_asset(&format!("asset-{id}"), test.clock.now())).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    /// Inserts `count` tickets in one change, on a clock that goes to and fro: many share a time,
    /// and ids do not follow times. Some are changed afterwards.
    pub async fn insert(&mut self, test: &TestStore, count: usize) -> Vec<Ticket> {
        let mut tickets: Vec<Ticket> = Vec::new();
        for _ in 0..count.div_ceil(50) {
            test.clock.advance_millis(self.random.random_range(-3..=5) * 1000);
            let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
            for _ in 0..50.min(count - tickets.len()) {
                let known = tickets.iter().map(|ticket| ticket.id).min();
                let ticket = self.insert_one(&mut tx, known).await;
                tickets.push(ticket);
            }
            for _ in 0..10 {
                let place = self.random.random_range(0..tickets.len());
                let changed = self.change(&tickets[place]);
                tickets[place] = tx.update(&tickets[place], changed).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
        tickets
    }

    async fn insert_one(&mut self, tx: &mut Tx, parent_id: Option<i64>) -> Ticket {
        let mut new = new_ticket("A random ticket");
        let random = &mut self.random;
        new.status = *Status::ALL.choose(random).unwrap();
        new.priority = *Priority::ALL.choose(random).unwrap();
        new.ticket_type = *TicketType::ALL.choose(random).unwrap();
        new.category = *Category::ALL.choose(random).unwrap();
        new.assignee_id = USERS.choose(random).copied().filter(|_| random.random_bool(0.6));
        new.requester_id = USERS.choose(random).copied().filter(|_| random.random_bool(0.8));
        new.parent_id = parent_id.filter(|_| random.random_bool(0.1));
        new.source = *Source::ALL.choose(random).unwrap();
        new.asset_ids = ASSETS.into_iter().filter(|_| random.random_bool(0.1)).collect();
        new.tags = TAGS.iter().filter(|_| random.random_bool(0.2)).map(|t| t.to_string()).collect();
        let sites: Vec<_> = SITES.iter().filter(|_| random.random_bool(0.3)).collect();
        if !sites.is_empty() {
            let sites = sites.into_iter().map(|site| (*site).to_owned()).collect();
            new.custom_fields.insert("sites".to_owned(), CustomValue::MultiSelect(sites));
        }
        if random.random_bool(0.5) {
            let floor = CustomValue::Integer(random.random_range(0..4));
            new.custom_fields.insert("floor".to_owned(), floor);
        }
        new.watcher_user_ids = USERS.into_iter().filter(|_| random.random_bool(0.2)).collect();
        new.due_at = random.random_bool(0.5).then(|| self.time());
        if self.random.random_bool(0.2) {
            new.external_source =
                Some(if self.random.random_bool(0.5) { "jira" } else { "zendesk" }.to_owned());
            new.external_id = Some(orqit::id::base62(12));
        }
        tx.insert_ticket(new).await.unwrap()
    }

    fn change(&mut self, ticket: &Ticket) -> Ticket {
        let mut changed = ticket.clone();
        let random = &mut self.random;
        match random.random_range(0..5) {
            0 => changed.status = *Status::ALL.choose(random).unwrap(),
            1 => changed.assignee_id = USERS.choose(random).copied(),
            2 => changed.due_at = None,
            3 => drop(changed.custom_fields.remove("floor")),
            _ => changed.tags = vec![TAGS.choose(random).unwrap().to_string()],
        }
        changed
    }

    /// A time near those of the tickets.
    pub fn time(&mut self) -> Timestamp {
        let seconds = self.random.random_range(0..60);
        super::database::START.plus_millis(seconds * 1000)
    }

    /// The generator, for choices of the test's own.
    pub fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }
}

/// A webhook endpoint that wants everything.
pub fn new_webhook(now: Timestamp) -> Webhook {
    Webhook {
        id: 0,
        url: "https://desk.example/hooks".to_owned(),
        description: String::new(),
        events: vec!["*".to_owned()],
        status: WebhookStatus::Active,
        disabled_reason: None,
        failing_since: None,
        last_delivery_at: None,
        secrets: Vec::new(),
        from_sequence: 0,
        void_up_to: 0,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}
