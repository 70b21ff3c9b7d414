//! The nouns whose records are imported one by one: what each is known by, and its RPCs.

use prost_types::FieldMask;
use serde_json::{Map, Value};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status};

use super::calls::call;
use super::noun::{Calls, Noun, Reference, user};
use crate::cli::client::Client;
use crate::id;
use crate::pb;

/// Users, by their addresses.
#[derive(Clone)]
pub struct Users;

/// Assets, by their tags.
#[derive(Clone)]
pub struct Assets;

/// Projects, by their keys.
#[derive(Clone)]
pub struct Projects;

/// Tasks, by their projects and numbers.
#[derive(Clone)]
pub struct Tasks;

/// Articles of the knowledge base, by their slugs.
#[derive(Clone)]
pub struct Articles;

impl Noun for Users {
    const NAME: &str = "users";
    const KEYS: &[&str] = &["email"];
    const REFERENCES: &[(&str, &str, Reference)] = &[];
    type Update = pb::UpdateUserRequest;
    type Create = pb::CreateUserRequest;
    type Resource = pb::User;
    type Status = pb::UserStatus;

    async fn find(client: &Client, keys: &Map<String, Value>) -> Result<Option<pb::User>, Status> {
        user(client, text(keys, "email")).await
    }

    async fn create(
        Calls { client, progress }: &Calls,
        _: &Map<String, Value>,
        new: pb::CreateUserRequest,
    ) -> Result<Option<pb::User>, Status> {
        let made = call(progress, || {
            let (mut client, new) = (client.users(), new.clone());
            async move { client.create_user(new).await }
        });
        made.await.map(|made| made.into_inner().user)
    }

    async fn update(
        client: &Client,
        id: String,
        fields: Vec<String>,
        update: pb::UpdateUserRequest,
    ) -> Result<Option<pb::User>, Status> {
        let update = pb::UpdateUserRequest { id, update_mask: mask(fields), ..update };
        client.users().update_user(update).await.map(|changed| changed.into_inner().user)
    }
}

impl Noun for Assets {
    const NAME: &str = "assets";
    const KEYS: &[&str] = &["assetTag"];
    const REFERENCES: &[(&str, &str, Reference)] =
        &[("assignedUser", "assignedUserId", Reference::Person)];
    type Update = pb::UpdateAssetRequest;
    type Create = pb::CreateAssetRequest;
    type Resource = pb::Asset;
    type Status = pb::AssetStatus;

    async fn find(client: &Client, keys: &Map<String, Value>) -> Result<Option<pb::Asset>, Status> {
        let request = pb::ListAssetsRequest {
            asset_tag: Some(text(keys, "assetTag").to_owned()),
            ..Default::default()
        };
        let found = client.assets().list_assets(request).await?;
        Ok(found.into_inner().assets.into_iter().next())
    }

    async fn create(
        Calls { client, progress }: &Calls,
        _: &Map<String, Value>,
        new: pb::CreateAssetRequest,
    ) -> Result<Option<pb::Asset>, Status> {
        // Who has it is said with its status.
        let new = pb::CreateAssetRequest { assigned_user_id: None, ..new };
        let made = call(progress, || {
            let (mut client, new) = (client.assets(), new.clone());
            async move { client.create_asset(new).await }
        });
        made.await.map(|made| made.into_inner().asset)
    }

    async fn update(
        client: &Client,
        id: String,
        fields: Vec<String>,
        update: pb::UpdateAssetRequest,
    ) -> Result<Option<pb::Asset>, Status> {
        let update = pb::UpdateAssetRequest { id, update_mask: mask(fields), ..update };
        client.assets().update_asset(update).await.map(|changed| changed.into_inner().asset)
    }
}

impl Noun for Projects {
    const NAME: &str = "projects";
    const KEYS: &[&str] = &["key"];
    const REFERENCES: &[(&str, &str, Reference)] = &[("lead", "leadId", Reference::Person)];
    type Update = pb::UpdateProjectRequest;
    type Create = pb::CreateProjectRequest;
    type Resource = pb::Project;
    type Status = pb::ProjectStatus;

    async fn find(
        client: &Client,
        keys: &Map<String, Value>,
    ) -> Result<Option<pb::Project>, Status> {
        project(client, text(keys, "key")).await
    }

    async fn create(
        Calls { client, progress }: &Calls,
        _: &Map<String, Value>,
        new: pb::CreateProjectRequest,
    ) -> Result<Option<pb::Project>, Status> {
        let made = call(progress, || {
            let (mut client, new) = (client.projects(), new.clone());
            async move { client.create_project(new).await }
        });
        made.await.map(|made| made.into_inner().project)
    }

    async fn update(
        client: &Client,
        id: String,
        fields: Vec<String>,
        update: pb::UpdateProjectRequest,
    ) -> Result<Option<pb::Project>, Status> {
        let update = pb::UpdateProjectRequest { id, update_mask: mask(fields), ..update };
        client.projects().update_project(update).await.map(|changed| changed.into_inner().project)
    }
}

impl Noun for Tasks {
    const NAME: &str = "tasks";
    const KEYS: &[&str] = &["project", "taskNumber"];
    const REFERENCES: &[(&str, &str, Reference)] =
        &[("assignee", "assigneeId", Reference::Person), ("ticket", "ticketId", Reference::Ticket)];
    // They are numbered as they are made.
    const IN_ORDER: bool = true;
    type Update = pb::UpdateTaskRequest;
    type Create = pb::CreateTaskRequest;
    type Resource = pb::Task;
    type Status = pb::TaskStatus;

    async fn find(client: &Client, keys: &Map<String, Value>) -> Result<Option<pb::Task>, Status> {
        let request = pb::GetTaskRequest { task_id: text(keys, "taskNumber").to_owned() };
        found(client.projects().get_task(request).await, |it| it.task)
    }

    async fn create(
        calls: &Calls,
        keys: &Map<String, Value>,
        new: pb::CreateTaskRequest,
    ) -> Result<Option<pb::Task>, Status> {
        let (key, number) = (text(keys, "project"), text(keys, "taskNumber"));
        let Calls { client, progress } = calls;
        let missing =
            || Status::not_found(format!("there is no project {key}: import projects first"));
        let project = call(progress, || project(client, key)).await?.ok_or_else(missing)?;
        let counts = project.task_counts.unwrap_or_default();
        let open = counts.todo + counts.in_progress + counts.in_review + counts.blocked;
        let next = format!("{key}-{}", open + counts.done + counts.cancelled + 1);
        if number != next {
            let message = format!(
                "{number} cannot be made before {next}: tasks are numbered as they are made"
            );
            return Err(Status::failed_precondition(message));
        }
        let status = project.status();
        // What is closed takes no task, and is closed again behind it.
        let is_closed =
            matches!(status, pb::ProjectStatus::Completed | pb::ProjectStatus::Cancelled);
        if is_closed {
            call(progress, || set_status(client, key, pb::ProjectStatus::Active)).await?;
        }
        let new = pb::CreateTaskRequest { id: key.to_owned(), ..new };
        let once = random_key();
        let made = call(progress, || {
            // One whose answer was lost is not made again: nothing but its number tells it from others.
            let mut request = Request::new(new.clone());
            request.metadata_mut().insert("idempotency-key", once.clone());
            let mut client = client.projects();
            async move { client.create_task(request).await }
        });
        let made = made.await;
        if is_closed {
            call(progress, || set_status(client, key, status)).await?;
        }
        made.map(|made| made.into_inner().task)
    }

    async fn update(
        client: &Client,
        id: String,
        fields: Vec<String>,
        update: pb::UpdateTaskRequest,
    ) -> Result<Option<pb::Task>, Status> {
        let update = pb::UpdateTaskRequest { task_id: id, update_mask: mask(fields), ..update };
        client.projects().update_task(update).await.map(|changed| changed.into_inner().task)
    }
}

impl Noun for Articles {
    const NAME: &str = "articles";
    const KEYS: &[&str] = &["slug"];
    const REFERENCES: &[(&str, &str, Reference)] = &[];
    type Update = pb::UpdateArticleRequest;
    type Create = pb::CreateArticleRequest;
    type Resource = pb::Article;
    type Status = pb::ArticleStatus;

    async fn find(
        client: &Client,
        keys: &Map<String, Value>,
    ) -> Result<Option<pb::Article>, Status> {
        let request = pb::GetArticleRequest { id: text(keys, "slug").to_owned() };
        found(client.articles().get_article(request).await, |it| it.article)
    }

    async fn create(
        Calls { client, progress }: &Calls,
        _: &Map<String, Value>,
        new: pb::CreateArticleRequest,
    ) -> Result<Option<pb::Article>, Status> {
        let made = call(progress, || {
            let (mut client, new) = (client.articles(), new.clone());
            async move { client.create_article(new).await }
        });
        made.await.map(|made| made.into_inner().article)
    }

    async fn update(
        client: &Client,
        id: String,
        fields: Vec<String>,
        update: pb::UpdateArticleRequest,
    ) -> Result<Option<pb::Article>, Status> {
        let update = pb::UpdateArticleRequest { id, update_mask: mask(fields), ..update };
        client.articles().update_article(update).await.map(|changed| changed.into_inner().article)
    }
}

fn random_key() -> MetadataValue<Ascii> {
    format!("import-{}", id::base62(22)).parse().expect("letters and digits")
}

async fn project(client: &Client, key: &str) -> Result<Option<pb::Project>, Status> {
    let request = pb::GetProjectRequest { id: key.to_owned() };
    found(client.projects().get_project(request).await, |it| it.project)
}

async fn set_status(client: &Client, key: &str, status: pb::ProjectStatus) -> Result<(), Status> {
    let update = pb::UpdateProjectRequest {
        id: key.to_owned(),
        update_mask: mask(vec!["status".to_owned()]),
        status: Some(status.into()),
        ..Default::default()
    };
    client.projects().update_project(update).await.map(|_| ())
}

/// Returns the answer of an RPC; none where the record does not exist.
fn found<A, R>(
    answer: Result<tonic::Response<A>, Status>,
    resource: impl FnOnce(A) -> Option<R>,
) -> Result<Option<R>, Status> {
    match answer {
        Ok(answer) => Ok(resource(answer.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

fn mask(paths: Vec<String>) -> Option<FieldMask> {
    Some(FieldMask { paths })
}

fn text<'v>(keys: &'v Map<String, Value>, key: &str) -> &'v str {
    keys.get(key).and_then(Value::as_str).unwrap_or_default()
}
