//! Claims of deliveries that are due.
//!
//! A claim is a token and a time. Whoever has claimed a delivery sends it; what came of it counts only
//! while the token does, and once the time has passed somebody else may claim it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Order, Query};
use sea_orm::{ColumnTrait, QueryTrait};

use super::endpoint::{ENDPOINT_COLUMNS, Endpoint, endpoint};
use super::{AttemptError, DeliveryStatus, EndpointKey, MAIL, Trigger};
use crate::clock::Timestamp;
use crate::config::{CLAIM_LASTS, CLAIMS_MAX, EMAIL_CLAIM_LASTS};
use crate::error::Error;
use crate::event::RecordedEvent;
use crate::store::emails::Email;
use crate::store::entity::email;
use crate::store::failure::failed;
use crate::store::log::{self, recorded};
use crate::store::nouns::{Stored, decode, rows_where};
use crate::store::row::Row;
use crate::store::sql::{Parameters, statement};
use crate::store::transaction::Transaction;
use crate::store::{Store, WorkspaceId};

/// The content of a delivery, and its target.
#[derive(Debug, Clone)]
pub enum Parcel {
    /// An event to an endpoint of a webhook.
    Event { endpoint: Arc<Endpoint>, event: Arc<RecordedEvent> },
    /// An e-mail to the SMTP server.
    Email(Arc<Email>),
}

/// A delivery that was claimed, to be sent.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The id of the delivery.
    pub id: i64,
    /// The workspace, and the endpoint that it goes to.
    pub endpoint: EndpointKey,
    /// The content.
    pub parcel: Parcel,
    /// The token by which the outcome of this claim counts.
    pub token: i64,
    /// The number of attempts before.
    pub attempt_count: i32,
    /// The number of failed ones among them that the schedule counts.
    pub failures: i16,
    /// The time of the next attempt by schedule, if this one is by hand.
    pub resume_at: Option<Timestamp>,
    /// The reason why it is sent.
    pub trigger: Trigger,
    /// True if it was claimed so often that nobody shall send it any more. Of a webhook's that is
    /// known to the database, of an e-mail it has to be told.
    pub is_worn_out: bool,
}

/// Returns the time for which a claim of a delivery there holds.
fn lasts(endpoint: i64) -> Duration {
    if endpoint == MAIL { EMAIL_CLAIM_LASTS } else { CLAIM_LASTS }
}

/// Claims what is due of an endpoint, at most so many, the live ones first; and gives up what is not to
/// be sent any more.
pub(super) async fn claim(
    transaction: &Transaction,
    key: EndpointKey,
    most: usize,
    token: i64,
    now: Timestamp,
) -> Result<Vec<Claim>, Error> {
    let due = due(transaction, key, most, now).await?;
    match (due.is_empty(), key.1) {
        (true, _) => Ok(Vec::new()),
        (false, MAIL) => claim_emails(transaction, key, due, token, now).await,
        (false, _) => claim_events(transaction, key, due, token, now).await,
    }
}

impl Store {
    /// Ends all claims: for a process that knows that nobody else has one any more.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn expire_claims(&self) -> Result<(), Error> {
        let text = "UPDATE deliveries SET due_at = $1 \
                    WHERE due_at IS NOT NULL AND due_at > $1 AND token <> 0";
        self.execute(statement(self.backend(), text, [self.now().0.into()])).await?;
        Ok(())
    }
}

/// The columns of a due delivery, in the order that [`due_row`] takes them.
const DUE_COLUMNS: [&str; 10] = [
    "id",
    "sequence",
    "attempt_count",
    "failures",
    "claims",
    "token",
    "trigger_next",
    "resume_at",
    "due_at",
    "created_at",
];

/// Selects the deliveries to an endpoint that are due and that nobody has claimed.
async fn due(
    transaction: &Transaction,
    (workspace, endpoint): EndpointKey,
    most: usize,
    now: Timestamp,
) -> Result<Vec<DueRow>, Error> {
    let mut due: Vec<DueRow> = Vec::new();
    for lane in 0..=1_i16 {
        let left = u64::try_from(most - due.len()).unwrap_or(0);
        if left == 0 {
            break;
        }
        let select = Query::select()
            .columns(DUE_COLUMNS)
            .from("deliveries")
            .and_where(Expr::col("workspace_id").eq(workspace.0))
            .and_where(Expr::col("endpoint_id").eq(endpoint))
            .and_where(Expr::col("lane").eq(lane))
            // Both are needed: the index has the rows alone that have a due time.
            .and_where(Expr::col("due_at").lte(now.0))
            .and_where(Expr::col("due_at").is_not_null())
            .order_by("due_at", Order::Asc)
            .order_by("id", Order::Asc)
            .limit(left)
            // SQLite has no such clause, and needs none.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .to_owned();
        due.extend(transaction.read(transaction.backend().build(&select), due_row).await?);
    }
    Ok(due)
}

async fn claim_events(
    transaction: &Transaction,
    key: EndpointKey,
    due: Vec<DueRow>,
    token: i64,
    now: Timestamp,
) -> Result<Vec<Claim>, Error> {
    let workspace = key.0;
    let text =
        format!("SELECT {ENDPOINT_COLUMNS} FROM webhooks WHERE workspace_id = $1 AND id = $2");
    let select = statement(transaction.backend(), text, [workspace.0.into(), key.1.into()]);
    let found = transaction.read_one(select, endpoint).await?;
    let void_up_to = found.as_ref().filter(|found| found.is_active).map(|found| found.void_up_to);
    let is_void = |row: &DueRow| {
        void_up_to.is_none_or(|up_to| row.id <= up_to && row.trigger != Trigger::Manual)
    };
    note_lost(transaction, key, due.iter()).await?;
    let (void, rest): (Vec<_>, Vec<_>) = due.into_iter().partition(is_void);
    let (parked, claimed): (Vec<_>, Vec<_>) = rest.into_iter().partition(DueRow::is_worn_out);
    end(transaction, workspace, &void, DeliveryStatus::Failed).await?;
    end(transaction, workspace, &parked, DeliveryStatus::Parked).await?;
    for row in &parked {
        tracing::warn!(
            workspace = workspace.0,
            delivery = row.id,
            "a delivery is parked: five times it was not finished by whoever sent it; look at it and redeliver it"
        );
    }
    let Some(found) = found.filter(|_| !claimed.is_empty()) else { return Ok(Vec::new()) };
    take(transaction, key, &claimed, token, now).await?;
    let events = events_at(transaction, workspace, &claimed).await?;
    let endpoint = Arc::new(found.endpoint);
    let mut claims = Vec::with_capacity(claimed.len());
    let mut without = Vec::new();
    for row in claimed {
        let Some(event) = events.get(&row.sequence) else {
            without.push(row);
            continue;
        };
        let (endpoint, event) = (Arc::clone(&endpoint), Arc::clone(event));
        claims.push(row.claimed(key, token, Parcel::Event { endpoint, event }));
    }
    end(transaction, workspace, &without, DeliveryStatus::Failed).await?;
    Ok(claims)
}

/// Claims e-mails. Those that are worn out are claimed once more, by whoever tells of their end.
async fn claim_emails(
    transaction: &Transaction,
    key: EndpointKey,
    due: Vec<DueRow>,
    token: i64,
    now: Timestamp,
) -> Result<Vec<Claim>, Error> {
    // Of one that is worn out the last attempt is written down with its end.
    note_lost(transaction, key, due.iter().filter(|row| !row.is_worn_out())).await?;
    take(transaction, key, &due, token, now).await?;
    let ids = email::Column::Id.is_in(due.iter().map(|row| -row.id));
    let select = rows_where::<Email>(key.0, ids).build(transaction.backend());
    let emails = transaction.read(select, decode::<Email>).await?;
    let mut emails: BTreeMap<_, _> =
        emails.into_iter().map(|email| (email.id, Arc::new(email))).collect();
    let claim = |row: DueRow| {
        let email = emails.remove(&-row.id)?;
        Some(row.claimed(key, token, Parcel::Email(email)))
    };
    Ok(due.into_iter().filter_map(claim).collect())
}

/// Writes down who has claimed these.
async fn take(
    transaction: &Transaction,
    (workspace, endpoint): EndpointKey,
    rows: &[DueRow],
    token: i64,
    now: Timestamp,
) -> Result<(), Error> {
    let mut parameters = Parameters::new(transaction.backend());
    let (token, until) = (parameters.bind(token), parameters.bind(now.plus(lasts(endpoint)).0));
    let workspace = parameters.bind(workspace.0);
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let text = format!(
        "UPDATE deliveries SET token = {token}, due_at = {until}, claims = claims + 1, \
           attempt_count = attempt_count + CASE WHEN token <> 0 AND claims < {CLAIMS_MAX} THEN 1 ELSE 0 END, \
           trigger_next = {} \
         WHERE workspace_id = {workspace} AND id {}",
        Trigger::Schedule.as_i16(),
        parameters.bind_in(&ids),
    );
    transaction.execute(parameters.statement(text)).await.map_err(failed)?;
    Ok(())
}

/// Notes the attempts of which nobody knows what came.
async fn note_lost(
    transaction: &Transaction,
    (workspace, endpoint): EndpointKey,
    rows: impl Iterator<Item = &DueRow>,
) -> Result<(), Error> {
    for row in rows.filter(|row| row.token != 0) {
        // At the latest; a claim may have been ended before its time.
        let began = row.due_at.minus(lasts(endpoint)).max(row.created_at);
        let text = "INSERT INTO attempts (workspace_id, delivery_id, number, started_at, duration_ms, \
                    status_code, error, response_headers, response_body, reason) \
                    VALUES ($1, $2, $3, $4, $5, NULL, $6, '{}', '', $7)";
        let values = [
            workspace.0.into(),
            row.id.into(),
            (row.attempt_count + 1).into(),
            began.0.into(),
            (row.due_at.0 - began.0).into(),
            AttemptError::WorkerLost.as_i16().into(),
            Trigger::Schedule.as_i16().into(),
        ];
        let insert = statement(transaction.backend(), text, values);
        transaction.execute(insert).await.map_err(failed)?;
    }
    Ok(())
}

/// Ends these deliveries: no attempt of them comes any more.
async fn end(
    transaction: &Transaction,
    workspace: WorkspaceId,
    rows: &[DueRow],
    status: DeliveryStatus,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut parameters = Parameters::new(transaction.backend());
    let (workspace, status) = (parameters.bind(workspace.0), parameters.bind(status.as_i16()));
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let text = format!(
        "UPDATE deliveries SET status = {status}, due_at = NULL, resume_at = NULL, token = 0, \
           attempt_count = attempt_count + CASE WHEN token <> 0 THEN 1 ELSE 0 END \
         WHERE workspace_id = {workspace} AND id {}",
        parameters.bind_in(&ids)
    );
    transaction.execute(parameters.statement(text)).await.map_err(failed)?;
    Ok(())
}

async fn events_at(
    transaction: &Transaction,
    workspace: WorkspaceId,
    rows: &[DueRow],
) -> Result<BTreeMap<i64, Arc<RecordedEvent>>, Error> {
    let mut parameters = Parameters::new(transaction.backend());
    let workspace = parameters.bind(workspace.0);
    let sequences: Vec<_> = rows.iter().map(|row| row.sequence).collect();
    let text = format!(
        "SELECT {} FROM events WHERE workspace_id = {workspace} AND sequence {}",
        log::COLUMNS,
        parameters.bind_in(&sequences)
    );
    let events = transaction.read(parameters.statement(text), recorded).await?;
    Ok(events.into_iter().map(|event| (event.sequence, Arc::new(event))).collect())
}

/// A delivery that is due.
#[derive(Debug)]
struct DueRow {
    id: i64,
    sequence: i64,
    attempt_count: i32,
    failures: i16,
    claims: i16,
    /// The token of the one who did not finish it; 0 where nobody had claimed it.
    token: i64,
    trigger: Trigger,
    resume_at: Option<Timestamp>,
    due_at: Timestamp,
    created_at: Timestamp,
}

impl DueRow {
    fn is_worn_out(&self) -> bool {
        self.claims >= CLAIMS_MAX
    }

    fn claimed(self, endpoint: EndpointKey, token: i64, parcel: Parcel) -> Claim {
        Claim {
            id: self.id,
            endpoint,
            parcel,
            token,
            attempt_count: self.attempt_count + i32::from(self.token != 0 && !self.is_worn_out()),
            failures: self.failures,
            resume_at: self.resume_at,
            trigger: self.trigger,
            is_worn_out: self.is_worn_out(),
        }
    }
}

fn due_row(row: &Row<'_>) -> Result<DueRow, Error> {
    Ok(DueRow {
        id: row.get(0)?,
        sequence: row.get(1)?,
        attempt_count: row.get(2)?,
        failures: row.get(3)?,
        claims: row.get(4)?,
        token: row.get(5)?,
        trigger: Trigger::from_column(row.get(6)?, "trigger_next")?,
        resume_at: row.get::<Option<i64>>(7)?.map(Timestamp),
        due_at: Timestamp(row.get(8)?),
        created_at: Timestamp(row.get(9)?),
    })
}
