//! The tickets of the demo, a week's, in the languages of those who wrote them, and the custom
//! field of their sites.

use std::sync::Arc;

use prost_types::Value;
use prost_types::value::Kind;

use super::{DAY_MILLIS, by, refused};
use crate::auth::caller::Caller;
use crate::clock::Clock;
use crate::error::Error;
use crate::pb::category_service_server::CategoryService;
use crate::pb::custom_field_service_server::CustomFieldService;
use crate::pb::ticket_service_server::TicketService;
use crate::pb::{
    CreateCategoryRequest, CreateCustomFieldRequest, CreateTicketCommentRequest,
    CreateTicketRequest, CustomFieldOption, CustomFieldType, Impact, Priority, TicketCategory,
    TicketSource, TicketStatus, TicketType, UpdateTicketRequest, Urgency,
};
use crate::service::categories::Categories;
use crate::service::custom_fields::CustomFields;
use crate::service::emails::Outbox;
use crate::service::tickets::Tickets;
use crate::store::Store;

const CATEGORIES: [(&str, TicketCategory, Option<Priority>); 3] = [
    ("Remote access", TicketCategory::Network, Some(Priority::High)),
    ("Meeting rooms", TicketCategory::Hardware, None),
    ("Joiners and leavers", TicketCategory::Access, None),
];

/// The sites of the demo's company: the value and the label of each.
const SITES: [(&str, &str); 4] =
    [("LISBON", "Lisboa"), ("PORTO", "Porto"), ("BERLIN", "Berlin"), ("WARSAW", "Warszawa")];

/// A ticket of the demo. People are named by their place in `PEOPLE`.
struct Story {
    title: &'static str,
    description: &'static str,
    kind: TicketType,
    category: TicketCategory,
    impact: Impact,
    urgency: Urgency,
    requester: usize,
    assignee: Option<usize>,
    tags: &'static [&'static str],
    due_in_days: Option<i64>,
    /// The assets that it is about, by their ids.
    assets: &'static [i64],
    /// The site, a value of the custom field `site`.
    site: Option<&'static str>,
    /// The comments, each with its author.
    comments: &'static [(usize, &'static str)],
    life: &'static [TicketStatus],
}

use TicketCategory::{Access, Email, Hardware, Network, Other, Software};
use TicketStatus::{Closed, InProgress, Pending, Resolved};
use TicketType::{Change, Incident, Problem, ServiceRequest};

const STORIES: [Story; 11] = [
    Story {
        title: "VPN drops every ten minutes from the Lisbon office",
        description: "Since this morning the VPN client reconnects about every ten minutes. Calls break off, file copies start again from zero.",
        kind: Incident,
        category: Network,
        impact: Impact::Medium,
        urgency: Urgency::High,
        requester: 2,
        assignee: Some(0),
        tags: &["vpn", "lisbon"],
        due_in_days: Some(1),
        assets: &[],
        site: Some("LISBON"),
        comments: &[
            (
                0,
                "Two of the three gateways look fine from here. Which one is in the client's status?",
            ),
            (2, "It says gateway-3, since Monday."),
        ],
        life: &[InProgress],
    },
    Story {
        title: "Laptop for a new colleague starting on Monday",
        description: "Standard developer laptop with a German keyboard, two monitors and a dock.",
        kind: ServiceRequest,
        category: Hardware,
        impact: Impact::Low,
        urgency: Urgency::Medium,
        requester: 3,
        assignee: Some(1),
        tags: &["onboarding"],
        due_in_days: Some(5),
        assets: &[3],
        site: Some("BERLIN"),
        comments: &[],
        life: &[InProgress, Pending],
    },
    Story {
        title: "Invoices are sent twice to some customers",
        description: "Eleven customers received their October invoice two times. The mail log shows two queue runs within a second.",
        kind: Problem,
        category: Email,
        impact: Impact::High,
        urgency: Urgency::High,
        requester: 4,
        assignee: Some(0),
        tags: &["billing", "mail"],
        due_in_days: Some(1),
        assets: &[],
        site: None,
        comments: &[],
        life: &[InProgress],
    },
    Story {
        title: "Move the file server to the new storage",
        description: "Planned for Saturday 06:00 to 10:00. Roll back by switching the share alias.",
        kind: Change,
        category: Hardware,
        impact: Impact::Medium,
        urgency: Urgency::Low,
        requester: 0,
        assignee: Some(1),
        tags: &["storage", "maintenance"],
        due_in_days: Some(10),
        assets: &[7],
        site: Some("LISBON"),
        comments: &[],
        life: &[],
    },
    Story {
        title: "No access to the payroll folder",
        description: "I moved from sales to HR last week and still see the sales folders only.",
        kind: ServiceRequest,
        category: Access,
        impact: Impact::Low,
        urgency: Urgency::High,
        requester: 2,
        assignee: Some(1),
        tags: &["permissions"],
        due_in_days: None,
        assets: &[],
        site: Some("LISBON"),
        comments: &[(1, "You are in the group hr-payroll now. Please sign in again.")],
        life: &[InProgress, Resolved],
    },
    Story {
        title: "Spreadsheet crashes when a chart is pasted",
        description: "Reproducible: copy a chart from the sales report and paste it into a new sheet.",
        kind: Incident,
        category: Software,
        impact: Impact::Low,
        urgency: Urgency::Low,
        requester: 4,
        assignee: None,
        tags: &[],
        due_in_days: None,
        assets: &[2],
        site: None,
        comments: &[],
        life: &[],
    },
    Story {
        title: "Printer on the second floor prints blank pages",
        description: "Toner was replaced yesterday. The test page from the printer itself is fine.",
        kind: Incident,
        category: Hardware,
        impact: Impact::Medium,
        urgency: Urgency::Medium,
        requester: 3,
        assignee: Some(1),
        tags: &["printer"],
        due_in_days: None,
        assets: &[5],
        site: Some("LISBON"),
        comments: &[
            (3, "It worked for two pages and then stopped."),
            (1, "The seal was still on the cartridge."),
        ],
        life: &[InProgress, Resolved, Closed],
    },
    Story {
        title: "Meeting room display shows last week's bookings",
        description: "Room Tejo. The calendar on the web is right, only the display at the door is not.",
        kind: Incident,
        category: Other,
        impact: Impact::Low,
        urgency: Urgency::Medium,
        requester: 2,
        assignee: None,
        tags: &["meeting-rooms"],
        due_in_days: Some(7),
        assets: &[6],
        site: Some("LISBON"),
        comments: &[],
        life: &[],
    },
    Story {
        title: "Bildschirm flackert am neuen Dock",
        description: "Seit dem Umzug in Raum 3.12 wird der linke Bildschirm alle paar Minuten schwarz. Ein anderes Kabel hat nichts geändert.",
        kind: Incident,
        category: Hardware,
        impact: Impact::Low,
        urgency: Urgency::Medium,
        requester: 5,
        assignee: Some(1),
        tags: &["dock", "berlin"],
        due_in_days: Some(3),
        assets: &[2, 4],
        site: Some("BERLIN"),
        comments: &[
            (1, "Können Sie bitte das Dock von Raum 3.14 ausprobieren?"),
            (5, "Mit dem anderen Dock bleibt das Bild ruhig."),
        ],
        life: &[InProgress],
    },
    Story {
        title: "Preciso de acesso à pasta do projeto do Porto",
        description: "Entro na equipa na próxima semana e ainda não vejo os documentos da mudança.",
        kind: ServiceRequest,
        category: Access,
        impact: Impact::Low,
        urgency: Urgency::Medium,
        requester: 6,
        assignee: Some(0),
        tags: &["permissions"],
        due_in_days: Some(2),
        assets: &[],
        site: Some("PORTO"),
        comments: &[],
        life: &[InProgress, Resolved],
    },
    Story {
        title: "Telefon nie dzwoni po aktualizacji",
        description: "Od wczoraj widzę tylko nieodebrane połączenia, dzwonka nie słychać.",
        kind: Incident,
        category: Hardware,
        impact: Impact::Low,
        urgency: Urgency::High,
        requester: 7,
        assignee: None,
        tags: &["phone"],
        due_in_days: Some(1),
        assets: &[8],
        site: Some("WARSAW"),
        comments: &[],
        life: &[],
    },
];

/// Loads the tickets. The assets that they are about are there already.
pub async fn load(
    store: &Store,
    clock: &Clock,
    caller: &Arc<Caller>,
    people: &[i64],
) -> Result<(), Error> {
    let categories = Categories { store: store.clone() };
    for (name, base, default) in CATEGORIES {
        let category = CreateCategoryRequest {
            name: name.to_owned(),
            base_category: base.into(),
            default_priority: default.map(Into::into),
            ..CreateCategoryRequest::default()
        };
        categories.create_category(by(caller, category)).await.map_err(refused)?;
    }
    let option = |(value, label): (&str, &str)| CustomFieldOption {
        value: value.to_owned(),
        label: Some(label.to_owned()),
        active: None,
    };
    let fields = CustomFields { store: store.clone() };
    let site = CreateCustomFieldRequest {
        key: "site".to_owned(),
        label: "Site".to_owned(),
        r#type: CustomFieldType::Select.into(),
        options: SITES.map(option).to_vec(),
        ..CreateCustomFieldRequest::default()
    };
    fields.create_custom_field(by(caller, site)).await.map_err(refused)?;
    let outbox = Outbox { has_server: false };
    let tickets = Tickets { store: store.clone(), limiter: None, outbox };
    for story in &STORIES {
        tell(&tickets, clock, caller, story, people).await?;
    }
    Ok(())
}

/// Loads a ticket with its comments and its changes.
async fn tell(
    tickets: &Tickets,
    clock: &Clock,
    caller: &Arc<Caller>,
    story: &Story,
    people: &[i64],
) -> Result<(), Error> {
    let due_at = story.due_in_days.map(|days| clock.now().plus_millis(days * DAY_MILLIS).into());
    let create = CreateTicketRequest {
        title: story.title.to_owned(),
        description: story.description.to_owned(),
        r#type: story.kind.into(),
        category: story.category.into(),
        impact: Some(story.impact.into()),
        urgency: Some(story.urgency.into()),
        requester_id: Some(people[story.requester]),
        assignee_id: story.assignee.map(|assignee| people[assignee]),
        tags: story.tags.iter().map(|tag| (*tag).to_owned()).collect(),
        asset_ids: story.assets.to_vec(),
        custom_fields: story.site.map(|site| ("site".to_owned(), text(site))).into_iter().collect(),
        due_at,
        source: Some(TicketSource::Portal.into()),
        ..CreateTicketRequest::default()
    };
    let created = tickets.create_ticket(by(caller, create)).await.map_err(refused)?.into_inner();
    let id = created.ticket.map_or_else(String::new, |ticket| ticket.id.to_string());
    for (person, body) in story.comments {
        let comment = CreateTicketCommentRequest {
            id: id.clone(),
            body: (*body).to_owned(),
            author_id: Some(people[*person]),
            ..CreateTicketCommentRequest::default()
        };
        tickets.create_ticket_comment(by(caller, comment)).await.map_err(refused)?;
    }
    for status in story.life {
        let status = Some((*status).into());
        let update =
            UpdateTicketRequest { id: id.clone(), status, ..UpdateTicketRequest::default() };
        tickets.update_ticket(by(caller, update)).await.map_err(refused)?;
    }
    Ok(())
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}
