//! A small workspace to look at: a few people, the tickets of a week, what was said about them, and what
//! the desk has written down.
//!
//! All but the people goes through the services like anybody's, so that it has events and versions.

use std::sync::Arc;

use tonic::Request;

use crate::auth::caller::Caller;
use crate::clock::Clock;
use crate::error::Error;
use crate::pb::knowledge_service_server::KnowledgeService;
use crate::pb::ticket_service_server::TicketService;
use crate::pb::{
    ArticleKind, ArticleStatus, CreateArticleRequest, CreateTicketCommentRequest,
    CreateTicketRequest, Impact, TicketCategory, TicketSource, TicketStatus, TicketType,
    UpdateArticleRequest, UpdateTicketRequest, Urgency,
};
use crate::service::articles::Articles;
use crate::service::tickets::Tickets;
use crate::service::users;
use crate::store::{NewUser, Role, Store};

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

const PEOPLE: [(&str, &str, Role); 5] = [
    ("Ines Carvalho", "ines.carvalho@default.example", Role::Agent),
    ("Tomasz Wolski", "tomasz.wolski@default.example", Role::Agent),
    ("Amara Diallo", "amara.diallo@default.example", Role::EndUser),
    ("Jonas Lindqvist", "jonas.lindqvist@default.example", Role::EndUser),
    ("Priya Raman", "priya.raman@default.example", Role::EndUser),
];

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
    /// Who said what about it.
    comments: &'static [(usize, &'static str)],
    life: &'static [TicketStatus],
}

use TicketCategory::{Access, Email, Hardware, Network, Other, Software};
use TicketStatus::{Closed, InProgress, Pending, Resolved};
use TicketType::{Change, Incident, Problem, ServiceRequest};

const STORIES: [Story; 8] = [
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
        comments: &[],
        life: &[],
    },
];

/// An article of the demo: its kind, title, summary, body and category, and whether it is published.
type Text = (ArticleKind, &'static str, &'static str, &'static str, &'static str, bool);

const TEXTS: [Text; 5] = [
    (
        ArticleKind::Faq,
        "How do I reset my password?",
        "You need your phone and two minutes.",
        "1. Open **Settings → Security** and choose *Reset password*.\n2. Confirm the message on your phone.\n3. Choose a new password of at least 14 characters.\n\nNo phone at hand? Call the desk: we ask two questions and send a code to your manager.",
        "Accounts",
        true,
    ),
    (
        ArticleKind::Faq,
        "Como peço um computador novo?",
        "Os pedidos passam pela chefia e demoram cerca de uma semana.",
        "Abra um pedido do tipo **SERVICE_REQUEST** na categoria Hardware, com o modelo e o centro de custo. A chefia aprova, nós encomendamos.\n\nPara uma avaria, abra antes um incidente.",
        "Hardware",
        true,
    ),
    (
        ArticleKind::HowTo,
        "VPN im Homeoffice einrichten",
        "In fünf Schritten vom Auspacken bis zur Verbindung.",
        "1. Notebook mit dem heimischen WLAN verbinden.\n2. Den VPN-Client starten, er liegt im Dock.\n3. Standort **Lissabon** wählen.\n4. Mit Kennwort und Telefon anmelden.\n5. Prüfen: das Schloss oben rechts leuchtet grün.",
        "Network",
        true,
    ),
    (
        ArticleKind::KnownError,
        "Drukarka na 2. piętrze gubi sterownik",
        "Po aktualizacji systemu trzeba dodać drukarkę od nowa.",
        "**Objaw:** zadania stoją w kolejce.\n\n**Obejście:** usuń drukarkę i dodaj ją ponownie jako `prn-2-east`. Producent pracuje nad poprawką.",
        "Hardware",
        true,
    ),
    (
        ArticleKind::Article,
        "What changes with the new mail server",
        "A draft for the announcement in spring.",
        "Mailboxes move over a weekend, by team. Nothing changes for those who read mail in the browser.",
        "E-mail",
        false,
    ),
];

/// Loads the demo as `caller`.
pub async fn load(store: &Store, clock: &Clock, caller: &Arc<Caller>) -> Result<(), Error> {
    let mut tx = store.begin(caller.workspace(), caller.actor()).await?;
    let mut people = Vec::with_capacity(PEOPLE.len());
    for (name, email, role) in PEOPLE {
        let user = tx.insert_user(NewUser::new(name, email, role)).await?;
        users::record_new(&mut tx, &user);
        people.push(user.id);
    }
    tx.commit().await?;
    let tickets = Tickets { store: store.clone(), limiter: None };
    for story in &STORIES {
        tell(&tickets, clock, caller, story, &people).await?;
    }
    let articles = Articles { store: store.clone() };
    for text in &TEXTS {
        write(&articles, caller, text).await?;
    }
    Ok(())
}

async fn write(articles: &Articles, caller: &Arc<Caller>, text: &Text) -> Result<(), Error> {
    let (kind, title, summary, body, category, is_published) = *text;
    let create = CreateArticleRequest {
        title: title.to_owned(),
        body: body.to_owned(),
        summary: Some(summary.to_owned()),
        kind: Some(kind.into()),
        category: Some(category.to_owned()),
        ..CreateArticleRequest::default()
    };
    let created = articles.create_article(by(caller, create)).await.map_err(refused)?.into_inner();
    if let Some(article) = created.article.filter(|_| is_published) {
        let update = UpdateArticleRequest {
            id: article.id.to_string(),
            status: Some(ArticleStatus::Published.into()),
            ..UpdateArticleRequest::default()
        };
        articles.update_article(by(caller, update)).await.map_err(refused)?;
    }
    Ok(())
}

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

fn by<M>(caller: &Arc<Caller>, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller.clone());
    request
}

fn refused(status: tonic::Status) -> Error {
    Error::of_status(status).unwrap_or_else(Error::internal)
}
