//! ProjectService: the projects of a workspace, and their tasks.

mod messages;
mod tasks;

use rest::{Mask, Merge, Patch};
use tonic::{Request, Response, Status};

use self::messages::{count, shown};
use super::once::{Answer, once};
use super::pages;
use super::references::check_one;
use super::{accept, changes, next_milli, no_more, number, transitions};
use crate::error::{Error, Kind};
use crate::pb;
use crate::resource::Resource;
use crate::store::nouns::{Condition, Query};
use crate::store::projects::{Project, STATUS, WORDS};
use crate::store::tasks::Task;
use crate::store::{Store, Tx, User, WorkspaceId};

/// Answers for projects.
#[derive(Clone)]
pub struct Projects {
    /// Where the projects are.
    pub store: Store,
}

#[tonic::async_trait]
impl pb::project_service_server::ProjectService for Projects {
    async fn list_projects(
        &self,
        request: Request<pb::ListProjectsRequest>,
    ) -> Result<Response<pb::ListProjectsResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let list = query(&accepted.message);
        let listed = pages::list(&self.store, &accepted, &list, shown).await?;
        let (mut projects, meta) = (listed.messages, Some(listed.meta));
        let ids: Vec<_> = projects.iter().map(|project| project.id).collect();
        let reader = self.store.reader(accepted.caller.workspace());
        let figures = reader.figures::<Project>(&ids).await?;
        projects.iter_mut().for_each(|project| count(project, &figures));
        Ok(Response::new(pb::ListProjectsResponse { projects, meta }))
    }

    async fn get_project(
        &self,
        request: Request<pb::GetProjectRequest>,
    ) -> Result<Response<pb::GetProjectResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let workspace = accepted.caller.workspace();
        let mut project = shown(self.find(workspace, &accepted.message.id).await?);
        let figures = self.store.reader(workspace).figures::<Project>(&[project.id]).await?;
        count(&mut project, &figures);
        Ok(Response::new(pb::GetProjectResponse { project: Some(project) }))
    }

    async fn create_project(
        &self,
        request: Request<pb::CreateProjectRequest>,
    ) -> Result<Response<pb::CreateProjectResponse>, Status> {
        let accepted = accept(request, messages::check_new)?;
        let answered = once(&self.store, &accepted, async |tx| {
            let new = messages::new_project(accepted.message.clone(), tx.now());
            check_one::<User>(tx, "leadId", new.lead_id).await?;
            let project = shown(tx.insert(new).await?);
            tx.record(changes::created(Resource::Project, &project));
            Ok(pb::CreateProjectResponse { project: Some(project) })
        });
        Ok(answered.await?)
    }

    async fn update_project(
        &self,
        request: Request<pb::UpdateProjectRequest>,
    ) -> Result<Response<pb::UpdateProjectResponse>, Status> {
        let mut mask = Mask::default();
        let accepted = accept(request, |message: &pb::UpdateProjectRequest, violations| {
            mask = message.mask(violations);
        })?;
        let message = &accepted.message;
        let answered = once(&self.store, &accepted, async |tx| {
            let id = find_id(tx, &message.id).await?;
            let before = tx.find_for_update::<Project>(id, &accepted.precondition).await?;
            let mut was = shown(before.clone());
            count(&mut was, &tx.figures::<Project>(id).await?);
            let mut is = was.clone();
            message.merge(&mask, &mut is);
            let after = messages::updated(&before, is)?;
            if after.status != before.status {
                transitions::check::<pb::ProjectStatus>("A project", before.status, after.status)?;
            }
            check_one::<User>(tx, "leadId", after.lead_id.filter(|_| mask.has("lead_id"))).await?;
            if after == before {
                return Ok(pb::UpdateProjectResponse { project: Some(was) });
            }
            let after = tx.update(&before, after).await?;
            let moved = (before.status != after.status).then_some("project.status_changed");
            let is = pb::Project { task_counts: was.task_counts, ..shown(after.clone()) };
            tx.record_update(&after, changes::updated(Resource::Project, &was, &is, moved));
            Ok(pb::UpdateProjectResponse { project: Some(is) })
        });
        Ok(answered.await?)
    }

    async fn list_project_history(
        &self,
        request: Request<pb::ListProjectHistoryRequest>,
    ) -> Result<Response<pb::ListProjectHistoryResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let project = self.find(accepted.caller.workspace(), &accepted.message.id).await?;
        let listed = pages::history::<Project, _>(&self.store, &accepted, project.id).await?;
        let (history, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListProjectHistoryResponse { history, meta }))
    }

    async fn list_tasks(
        &self,
        request: Request<pb::ListTasksRequest>,
    ) -> Result<Response<pb::ListTasksResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let project = self.find(accepted.caller.workspace(), &accepted.message.id).await?;
        let list = tasks::query(project.id, &accepted.message);
        let listed = pages::list(&self.store, &accepted, &list, tasks::shown).await?;
        let (tasks, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListTasksResponse { tasks, meta }))
    }

    async fn create_task(
        &self,
        request: Request<pb::CreateTaskRequest>,
    ) -> Result<Response<pb::CreateTaskResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let message = &accepted.message;
        let answered = once(&self.store, &accepted, async |tx| {
            let id = find_id(tx, &message.id).await?;
            let task = tasks::create(tx, id, message.clone()).await?;
            Ok(pb::CreateTaskResponse { task: Some(task) })
        });
        Ok(answered.await?)
    }

    async fn get_task(
        &self,
        request: Request<pb::GetTaskRequest>,
    ) -> Result<Response<pb::GetTaskResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let task = self.find_task(accepted.caller.workspace(), &accepted.message.task_id).await?;
        Ok(Response::new(pb::GetTaskResponse { task: Some(tasks::shown(task)) }))
    }

    async fn update_task(
        &self,
        request: Request<pb::UpdateTaskRequest>,
    ) -> Result<Response<pb::UpdateTaskResponse>, Status> {
        let mut mask = Mask::default();
        let accepted = accept(request, |message: &pb::UpdateTaskRequest, violations| {
            mask = message.mask(violations);
        })?;
        let message = &accepted.message;
        let answered = once(&self.store, &accepted, async |tx| {
            let id = match number(&message.task_id) {
                Some(id) => Some(id),
                None => tx.find_task_id(&message.task_id).await?,
            };
            let id = id.ok_or_else(|| Resource::Task.not_found())?;
            let before = tx.find_for_update::<Task>(id, &accepted.precondition).await?;
            let after = tasks::update(tx, before, message, &mask).await?;
            Ok(pb::UpdateTaskResponse { task: Some(after) })
        });
        Ok(answered.await?)
    }

    async fn list_task_history(
        &self,
        request: Request<pb::ListTaskHistoryRequest>,
    ) -> Result<Response<pb::ListTaskHistoryResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let task = self.find_task(accepted.caller.workspace(), &accepted.message.task_id).await?;
        let listed = pages::history::<Task, _>(&self.store, &accepted, task.id).await?;
        let (history, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListTaskHistoryResponse { history, meta }))
    }
}

impl Projects {
    /// The project that a path names, by its id or its key.
    async fn find(&self, workspace: WorkspaceId, id: &str) -> Result<Project, Error> {
        let reader = self.store.reader(workspace);
        let found = match number(id) {
            Some(id) => reader.find::<Project>(id).await?,
            None => reader.find_project_by_key(id).await?,
        };
        found.ok_or_else(|| Resource::Project.not_found())
    }

    /// The task that a path names, by its id or its number.
    async fn find_task(&self, workspace: WorkspaceId, id: &str) -> Result<Task, Error> {
        let reader = self.store.reader(workspace);
        let found = match number(id) {
            Some(id) => reader.find::<Task>(id).await?,
            None => reader.find_task_by_number(id).await?,
        };
        found.ok_or_else(|| Resource::Task.not_found())
    }
}

impl Answer for pb::CreateProjectResponse {}
impl Answer for pb::UpdateProjectResponse {}
impl Answer for pb::CreateTaskResponse {}
impl Answer for pb::UpdateTaskResponse {}

async fn find_id(tx: &Tx, id: &str) -> Result<i64, Error> {
    let found = match number(id) {
        Some(id) => Some(id),
        None => tx.find_project_id(id).await?,
    };
    found.ok_or_else(|| Resource::Project.not_found())
}

/// What a list of projects asks for, as the store understands it.
fn query(message: &pb::ListProjectsRequest) -> Query {
    let conditions = [
        Condition::dimension(&STATUS, message.status.iter().copied()),
        Condition::numbers("lead_id", &message.lead_id),
        message.q.as_deref().map(|text| Condition::search(&WORDS, text)),
        Condition::since("updated_at", message.updated_since.map(next_milli)),
    ];
    pages::query::<Project>(message.sort.as_deref(), message.updated_since, conditions)
}
