//! Comments on tickets. A comment is final: nothing of it ever changes.

use std::collections::BTreeSet;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryTrait, Set};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::counters::advance;
use crate::store::entity::comment;
use crate::store::failure::failed;
use crate::store::newest::Owned;
use crate::store::pages::{CursorKey, NewestFirst, Page, PageRequest, Total};
use crate::store::row::Row;
use crate::store::rows::RowSource;
use crate::store::sql::{INSERT_ROWS_MAX, Parameters};
use crate::store::stored_enum::stored_enum;
use crate::store::{Reader, Tx, WorkspaceId, unknown_number};

/// The counter that numbers the comments of a workspace.
const COUNTER: &str = "comments";

/// The comments of tickets, as rows with an owner.
const COMMENTS: Owned = Owned {
    table: "comments",
    owner: "ticket_id",
    noun: None,
    columns: "t.workspace_id, t.id, t.ticket_id, t.body, t.visibility, t.author_id, t.channel, \
              t.external_id, t.created_at, t.created_by",
};

stored_enum! {
    /// The readers for whom a comment is meant.
    Visibility {
        /// The requester may read it too.
        Public = 1,
        /// Only those who work on tickets may read it.
        Internal = 2,
    }
}

stored_enum! {
    /// The way that a comment came in.
    Channel {
        /// By the API.
        Api = 1,
        /// As an answer by e-mail.
        Email = 2,
    }
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// The id: 1, 2, 3 … within the workspace.
    pub id: i64,
    /// The ticket that it is about.
    pub ticket_id: i64,
    /// The text.
    pub body: String,
    /// The readers for whom it is meant.
    pub visibility: Visibility,
    /// The user who says it.
    pub author_id: i64,
    /// The way that it came in.
    pub channel: Channel,
    /// The id in the system that it was brought from.
    pub external_id: Option<String>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The user that its making is attributed to.
    pub created_by: i64,
}

/// A comment to be made.
#[derive(Debug, Clone)]
pub struct NewComment {
    /// The text.
    pub body: String,
    /// The readers for whom it is meant.
    pub visibility: Visibility,
    /// The user who says it.
    pub author_id: i64,
    /// The way that it comes in.
    pub channel: Channel,
    /// The user that its making is attributed to.
    pub created_by: i64,
    /// The id in the system that it is brought from.
    pub external_id: Option<String>,
    /// The time of creation; none stands for now.
    pub created_at: Option<Timestamp>,
}

impl Comment {
    fn row(&self, workspace: WorkspaceId) -> comment::ActiveModel {
        comment::ActiveModel {
            workspace_id: Set(workspace.0),
            id: Set(self.id),
            ticket_id: Set(self.ticket_id),
            body: Set(self.body.clone()),
            visibility: Set(self.visibility.as_i16()),
            author_id: Set(self.author_id),
            channel: Set(self.channel.as_i16()),
            external_id: Set(self.external_id.clone()),
            created_at: Set(self.created_at.0),
            created_by: Set(self.created_by),
        }
    }

    /// Returns the position of the comment among those of its ticket.
    pub fn key(&self) -> CursorKey {
        CursorKey::timed(self.created_at, self.id)
    }
}

impl Tx {
    /// Makes a comment on a ticket, which this change holds. What it refers to must exist.
    pub async fn insert_comment(&mut self, ticket: i64, new: NewComment) -> Result<Comment, Error> {
        let mut made = self.insert_comments(ticket, vec![new]).await?;
        made.pop().ok_or_else(|| Error::internal("a new comment is gone"))
    }

    /// Makes comments on a ticket, which this change holds; none of them has an external id that another
    /// one of the ticket has. What they refer to must exist.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn insert_comments(
        &mut self,
        ticket: i64,
        new: Vec<NewComment>,
    ) -> Result<Vec<Comment>, Error> {
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let _timed = StoreOperation::begin("insert", "comments");
        self.take_turn().await?;
        let amount = i64::try_from(new.len()).expect("a change has fewer than 2^63 comments");
        let last = advance(&self.transaction, self.workspace, COUNTER, amount).await?;
        let made = (last - amount + 1..).zip(new).map(|(id, new)| Comment {
            id,
            ticket_id: ticket,
            body: new.body,
            visibility: new.visibility,
            author_id: new.author_id,
            channel: new.channel,
            external_id: new.external_id,
            created_at: new.created_at.unwrap_or(self.now),
            created_by: new.created_by,
        });
        let made: Vec<_> = made.collect();
        for made in made.chunks(INSERT_ROWS_MAX) {
            let rows = made.iter().map(|made| made.row(self.workspace));
            let insert = comment::Entity::insert_many(rows).build(self.transaction.backend());
            self.transaction.execute(insert).await.map_err(failed)?;
        }
        Ok(made)
    }

    /// Returns those of these external ids that comments on a ticket have already.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn known_comments(
        &self,
        ticket: i64,
        external_ids: &[String],
    ) -> Result<BTreeSet<String>, Error> {
        if external_ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let _timed = StoreOperation::begin("find_known", "comments");
        let mut parameters = Parameters::new(self.transaction.backend());
        let (workspace, ticket) = (parameters.bind(self.workspace.0), parameters.bind(ticket));
        let external_ids = parameters.bind_in_texts(external_ids);
        let select = parameters.statement(format!(
            "SELECT external_id FROM comments WHERE workspace_id = {workspace} \
             AND ticket_id = {ticket} AND external_id {external_ids}"
        ));
        Ok(self.transaction.read(select, |row| row.get(0)).await?.into_iter().collect())
    }
}

impl Reader<'_> {
    /// A page of the comments on a ticket, the newest first; of one visibility, if one is given.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_comments(
        &self,
        ticket: i64,
        visibility: Option<Visibility>,
        page: &PageRequest,
    ) -> Result<Page<Comment>, Error> {
        let _timed = StoreOperation::begin("list", "comments");
        let list = self.comments(ticket, visibility);
        let key = |row: &comment::Model| CursorKey::timed(Timestamp(row.created_at), row.id);
        list.read(self.connection, key, page).await.map_err(failed)?.try_map(from_row)
    }

    /// The newest comments on each of these tickets, the newest of all first: all, or as many as fit in
    /// so many bytes and one more.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn newest_comments(
        &self,
        tickets: &[i64],
        bytes_max: usize,
    ) -> Result<Vec<Comment>, Error> {
        let _timed = StoreOperation::begin("list_newest", "comments");
        let select = self.newest_of_each(&COMMENTS, tickets);
        let bytes = |comment: &Comment| comment.body.len();
        RowSource::Reader(*self).read_within(select, decode, bytes, bytes_max).await
    }

    /// The query plan of the statement that [`Reader::newest_comments`] would run, a line each.
    #[doc(hidden)]
    pub async fn explain_newest_comments(&self, tickets: &[i64]) -> Result<Vec<String>, Error> {
        self.explain(self.newest_of_each(&COMMENTS, tickets)).await
    }

    /// The query plans of the statements that [`Reader::list_comments`] would run, a line each.
    #[doc(hidden)]
    pub async fn explain_comments(
        &self,
        ticket: i64,
        visibility: Option<Visibility>,
        page: &PageRequest,
    ) -> Result<Vec<String>, Error> {
        let list = self.comments(ticket, visibility);
        self.explain_all(list.statements(self.backend(), page)).await
    }

    fn comments(
        &self,
        ticket: i64,
        visibility: Option<Visibility>,
    ) -> NewestFirst<comment::Entity> {
        use comment::Column;
        let mut select = comment::Entity::find()
            .filter(Column::WorkspaceId.eq(self.workspace.0))
            .filter(Column::TicketId.eq(ticket));
        if let Some(visibility) = visibility {
            select = select.filter(Column::Visibility.eq(visibility.as_i16()));
        }
        let (time, number, total) = (Some(Column::CreatedAt), Column::Id, Total::Counted);
        NewestFirst { select, time, number, total }
    }
}

fn decode(row: &Row<'_>) -> Result<Comment, Error> {
    from_row(comment::Model {
        workspace_id: row.get(0)?,
        id: row.get(1)?,
        ticket_id: row.get(2)?,
        body: row.get(3)?,
        visibility: row.get(4)?,
        author_id: row.get(5)?,
        channel: row.get(6)?,
        external_id: row.get(7)?,
        created_at: row.get(8)?,
        created_by: row.get(9)?,
    })
}

fn from_row(row: comment::Model) -> Result<Comment, Error> {
    let visibility = Visibility::from_i16(row.visibility);
    let channel = Channel::from_i16(row.channel);
    Ok(Comment {
        id: row.id,
        ticket_id: row.ticket_id,
        body: row.body,
        visibility: visibility.ok_or_else(|| unknown_number("visibility", row.visibility))?,
        author_id: row.author_id,
        channel: channel.ok_or_else(|| unknown_number("channel", row.channel))?,
        external_id: row.external_id,
        created_at: Timestamp(row.created_at),
        created_by: row.created_by,
    })
}
