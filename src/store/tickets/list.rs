//! Lists of tickets: a page, its total, and where the next one begins.
//!
//! How the rows are found is decided in `plan` and written in `page` and `found`.

use sea_orm::{AccessMode, DbBackend, DbErr, IsolationLevel, Statement, TransactionOptions};

use super::filter::{Sort, TicketFilter, TicketPage};
use super::page::{List, Piece};
use super::plan::{Part, is_short};
use super::row::decode_listed;
use super::{PageRequest, Position};
use super::{Reader, Ticket};
use crate::config::{PAGE_BYTES_MAX, PER_PAGE_ALWAYS};
use crate::error::Error;
use crate::store::begin::begin;
use crate::store::failure::failed;
use crate::store::rows::RowSource;

impl Reader<'_> {
    /// A page of the tickets that pass `filter`, in the order of `sort`.
    ///
    /// A list that is read on from each page's [`TicketPage::next`] has every ticket that passed
    /// throughout exactly once, whatever is inserted meanwhile.
    pub async fn list_tickets(
        &self,
        filter: &TicketFilter,
        sort: Sort,
        page: PageRequest,
    ) -> Result<TicketPage, Error> {
        let list = self.list(filter, sort);
        let found = match sort.parts() {
            [part] => {
                let is_short = is_short(filter, sort, page);
                let reader = if is_short { RowSource::Short } else { RowSource::Reader };
                read_part(reader(*self), list, *part, page).await?
            }
            // Two statements, which have to be of one moment.
            _ => {
                let snapshot = self.begin_snapshot().await.map_err(failed)?;
                let found = read_due(RowSource::Snapshot(&snapshot), list, page).await?;
                snapshot.commit().await.map_err(failed)?;
                found
            }
        };
        Ok(found.into_page(sort, page))
    }

    /// The query plans of the statements that [`Reader::list_tickets`] would run, a line each.
    #[doc(hidden)]
    pub async fn explain_list(
        &self,
        filter: &TicketFilter,
        sort: Sort,
        page: PageRequest,
    ) -> Result<Vec<String>, Error> {
        let list = self.list(filter, sort);
        let mut statements = vec![list.total()];
        for part in sort.parts() {
            let piece = first_piece(*part, page);
            statements.extend(list.probe(piece));
            statements.push(list.page(piece));
        }
        if sort.parts().len() > 1 {
            statements.push(list.dated_total());
        }
        let mut plan = Vec::new();
        for statement in statements {
            plan.extend(self.explain(statement).await?);
        }
        Ok(plan)
    }

    fn list<'a>(&self, filter: &'a TicketFilter, sort: Sort) -> List<'a> {
        let backend = self.backend();
        List { backend, workspace: self.workspace, filter, sort }
    }

    async fn begin_snapshot(&self) -> Result<sea_orm::DatabaseTransaction, DbErr> {
        let options = match self.backend() {
            DbBackend::Postgres => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..Default::default()
            },
            // A transaction of SQLite is a snapshot from its first statement on.
            _ => TransactionOptions::default(),
        };
        begin(self.connection, options).await
    }
}

/// The tickets of a page, one more if there is one, and the total of the list. There are fewer where
/// they are larger than a page may be: the last of them is the one that made them so.
struct Found {
    tickets: Vec<Ticket>,
    total_count: i64,
}

impl Found {
    fn into_page(mut self, sort: Sort, page: PageRequest) -> TicketPage {
        let per_page = page.per_page as usize;
        let has_more = self.tickets.len() > per_page || is_over(&self.tickets, page);
        self.tickets.truncate(per_page);
        let last = self.tickets.last().filter(|_| has_more);
        TicketPage {
            next: last.map(|ticket| sort.key_of(ticket)),
            has_more,
            total_count: self.total_count,
            tickets: self.tickets,
        }
    }
}

/// A list in order of a column that has no NULL: one statement for page and total.
async fn read_part(
    source: RowSource<'_>,
    list: List<'_>,
    part: Part,
    page: PageRequest,
) -> Result<Found, Error> {
    let (tickets, total) = read_piece(source, list, first_piece(part, page), page).await?;
    let total_count = read_total(source, list, page, total).await?;
    Ok(Found { tickets, total_count })
}

/// A list in order of due dates: those that have one, then those that have none.
async fn read_due(
    source: RowSource<'_>,
    list: List<'_>,
    page: PageRequest,
) -> Result<Found, Error> {
    let dated = first_piece(Part::Dated, page);
    let mut undated = first_piece(Part::Undated, page);
    let past_dated = dated.after.is_some_and(|key| key.value.is_none());
    let (mut tickets, mut total) = (Vec::new(), None);
    if !past_dated {
        (tickets, total) = read_piece(source, list, dated, page).await?;
        undated = Piece { after: None, ..undated };
    }

    let found = tickets.len() as u64;
    if found < undated.limit && !is_over(&tickets, page) {
        undated.limit -= found;
        undated.offset = match undated.offset {
            // The page begins behind all that have a due date: how many are they?
            offset @ 1.. if found == 0 => {
                offset.saturating_sub(read_number(source, list.dated_total()).await? as u64)
            }
            _ => 0,
        };
        let (more, undated_total) = read_piece(source, list, undated, page).await?;
        tickets.extend(more);
        total = total.or(undated_total);
    }
    let total_count = read_total(source, list, page, total).await?;
    Ok(Found { tickets, total_count })
}

fn first_piece(part: Part, page: PageRequest) -> Piece {
    let limit = u64::from(page.per_page) + 1;
    let (after, offset) = (page.position.after(), page.position.skipped(page.per_page));
    Piece { part, after, offset, limit }
}

/// The tickets of a piece, and the total of the list if there are any.
async fn read_piece(
    source: RowSource<'_>,
    list: List<'_>,
    piece: Piece,
    page: PageRequest,
) -> Result<(Vec<Ticket>, Option<i64>), Error> {
    let read = async |statement| {
        source
            .read_within(statement, decode_listed, |(ticket, _)| bytes(ticket), bytes_max(page))
            .await
    };
    let mut rows = match list.probe(piece) {
        Some(probe) => read(probe).await?,
        None => Vec::new(),
    };
    let is_over = rows.iter().map(|(ticket, _)| bytes(ticket)).sum::<usize>() > bytes_max(page);
    if (rows.len() as u64) < piece.limit && !is_over {
        rows = read(list.page(piece)).await?;
    }
    let total = rows.first().map(|(_, total)| *total);
    Ok((rows.into_iter().map(|(ticket, _)| ticket).collect(), total))
}

/// Whether the tickets are larger than a page may be.
fn is_over(tickets: &[Ticket], page: PageRequest) -> bool {
    tickets.iter().map(bytes).sum::<usize>() > bytes_max(page)
}

/// The bytes after which no ticket of a page is read any more.
fn bytes_max(page: PageRequest) -> usize {
    match page.position {
        Position::Page(_) if page.per_page <= PER_PAGE_ALWAYS => usize::MAX,
        _ => PAGE_BYTES_MAX,
    }
}

/// The bytes of text of a ticket, which are no more than its message has.
fn bytes(ticket: &Ticket) -> usize {
    ticket.title.len()
        + ticket.description.len()
        + ticket.resolution.as_ref().map_or(0, String::len)
}

/// The total, if no row has brought it: an empty first page has none, an empty page further on
/// has to ask.
async fn read_total(
    source: RowSource<'_>,
    list: List<'_>,
    page: PageRequest,
    total: Option<i64>,
) -> Result<i64, Error> {
    match (total, page.position) {
        (Some(total), _) => Ok(total),
        (None, Position::Page(1) | Position::Start) => Ok(0),
        (None, _) => read_number(source, list.total()).await,
    }
}

async fn read_number(source: RowSource<'_>, statement: Statement) -> Result<i64, Error> {
    let found = source.read(statement, |row| row.get(0)).await?;
    Ok(found.into_iter().next().unwrap_or(0))
}
