//! `orqit export`: writes the records of a workspace as NDJSON, in the form in which `orqit import` reads
//! them: people by their addresses, tickets by what they are known by elsewhere, assets by their tags.

mod members;
mod outer;
mod tickets;

use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use self::members::{ARTICLE, ASSET, PROJECT, TASK, USER, kept};
use self::outer::Outer;
use super::ClientArgs;
use super::client::{self, Client, sentence};
use super::import::calls::call;
use super::import::progress::Progress;
use crate::pb;

/// The most records of a page.
const PAGE: i32 = 100;
/// The arguments of every export.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The kind of records.
    kind: Kind,
    /// Go on after this cursor, which an interrupted export has shown.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// With their history.
    Tickets,
    /// By their tickets; `orqit import tickets` brings them.
    Comments,
    Users,
    Assets,
    Projects,
    Tasks,
    Articles,
}

/// Writes the records to standard output.
pub async fn run(args: ExportArgs) -> Result<(), String> {
    let client = client::connect(&args.client).await?;
    let progress = Progress::new("exported", None);
    let outer = Outer::new(client.clone(), progress.clone()).await?;
    let (page, after) = (Vec::new(), args.after);
    let mut export = Export { client, progress, outer, page, after, count: 0 };
    let ended = tokio::select! {
        ended = export.all(args.kind) => ended,
        _ = tokio::signal::ctrl_c() => Err("interrupted".to_owned()),
    };
    export.progress.end();
    match ended {
        Ok(()) => {
            eprintln!("{} records exported", export.count);
            Ok(())
        }
        Err(sentence) => Err(match export.after {
            Some(after) => format!("{sentence}; go on with --after {after}"),
            None => sentence,
        }),
    }
}

struct Export {
    client: Client,
    progress: Progress,
    outer: Outer,
    /// The lines of the page that is read: they are written together, so that none comes twice where an
    /// export goes on.
    page: Vec<u8>,
    /// The cursor after the last page that was written.
    after: Option<String>,
    count: u64,
}

/// Reads the pages of a list in the order of creation, and hands each record of them to a method of the
/// export; the list goes on behind each page that was written.
macro_rules! each_page {
    ($export:ident, $service:ident.$rpc:ident($request:ident).$rows:ident, |$row:ident| $write:expr) => {
        loop {
            let request = pb::$request {
                cursor: Some($export.after.clone().unwrap_or_else(|| "start".to_owned())),
                per_page: Some(PAGE),
                sort: Some("createdAt".to_owned()),
                ..Default::default()
            };
            let listed = call(&$export.progress, || {
                let (mut client, request) = ($export.client.$service(), request.clone());
                async move { client.$rpc(request).await }
            });
            let listed = listed.await.map_err(|status| sentence(&status))?.into_inner();
            for $row in listed.$rows {
                $write;
                $export.count += 1;
                $export.progress.add(1);
            }
            $export.flush()?;
            match listed.meta.and_then(|meta| meta.next_cursor) {
                Some(next) => $export.after = Some(next),
                None => return Ok(()),
            }
        }
    };
}

impl Export {
    async fn all(&mut self, kind: Kind) -> Result<(), String> {
        match kind {
            Kind::Tickets => {
                each_page!(self, tickets.list_tickets(ListTicketsRequest).tickets, |ticket| self
                    .ticket(ticket)
                    .await?)
            }
            Kind::Comments => {
                each_page!(self, tickets.list_tickets(ListTicketsRequest).tickets, |ticket| self
                    .comments(&ticket)
                    .await?)
            }
            Kind::Users => {
                each_page!(self, users.list_users(ListUsersRequest).users, |user| if user.role()
                    != pb::UserRole::System
                {
                    self.put(&kept(&user, USER))?
                })
            }
            Kind::Assets => {
                each_page!(self, assets.list_assets(ListAssetsRequest).assets, |asset| {
                    let mut record = kept(&asset, ASSET);
                    let holder = self.outer.person(asset.assigned_user_id).await?;
                    record.insert("assignedUser".to_owned(), holder);
                    self.put(&record)?
                })
            }
            Kind::Projects => {
                each_page!(self, projects.list_projects(ListProjectsRequest).projects, |project| {
                    let mut record = kept(&project, PROJECT);
                    record.insert("lead".to_owned(), self.outer.person(project.lead_id).await?);
                    self.put(&record)?
                })
            }
            Kind::Tasks => {
                each_page!(self, projects.list_projects(ListProjectsRequest).projects, |project| {
                    self.tasks(&project).await?
                })
            }
            Kind::Articles => {
                each_page!(self, articles.list_articles(ListArticlesRequest).articles, |article| {
                    self.put(&kept(&article, ARTICLE))?
                })
            }
        }
    }

    async fn tasks(&mut self, project: &pb::Project) -> Result<(), String> {
        let mut cursor = Some("start".to_owned());
        while let Some(from) = cursor {
            let listed = call(&self.progress, || {
                let (mut client, cursor) = (self.client.projects(), Some(from.clone()));
                let request = pb::ListTasksRequest {
                    id: project.key.clone(),
                    per_page: Some(PAGE),
                    cursor,
                    sort: Some("createdAt".to_owned()),
                    ..Default::default()
                };
                async move { client.list_tasks(request).await }
            });
            let listed = listed.await.map_err(|status| sentence(&status))?.into_inner();
            for task in listed.tasks {
                let mut record =
                    Map::from_iter([("project".to_owned(), Value::from(project.key.as_str()))]);
                record.extend(kept(&task, TASK));
                record.insert("assignee".to_owned(), self.outer.person(task.assignee_id).await?);
                let ticket = match task.ticket_id {
                    Some(id) => Value::Object(self.outer.ticket(id).await?),
                    None => Value::Null,
                };
                record.insert("ticket".to_owned(), ticket);
                self.put(&record)?;
            }
            cursor = listed.meta.and_then(|meta| meta.next_cursor);
        }
        Ok(())
    }

    fn put(&mut self, record: &Map<String, Value>) -> Result<(), String> {
        let line = serde_json::to_string(record).map_err(|error| error.to_string())?;
        self.page.extend(line.as_bytes());
        self.page.push(b'\n');
        Ok(())
    }

    /// Writes the page.
    fn flush(&mut self) -> Result<(), String> {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(&self.page).and_then(|()| out.flush());
        self.page.clear();
        written.map_err(|error| format!("cannot write: {error}"))
    }
}
