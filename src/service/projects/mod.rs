//! ProjectService: the projects of a workspace, and their tasks.

mod messages;
mod tasks;

use rest::Merge;
use tonic::{Request, Response, Status};

use self::messages::{count, shown};
use super::once::{Answer, once, once_locking, once_on};
use super::pages;
use super::references::check_one;
use super::{accept, accept_update, changes, next_milli, no_more, transitions};
use crate::error::{Error, Kind};
use crate::pb;
use crate::preconditions::Precondition;
use crate::resource::Resource;
use crate::store::nouns::{Condition, Query};
use crate::store::projects::{Project, STATUS, WORDS};
use crate::store::tasks::Task;
use crate::store::{Store, Tx, User};

/// Answers for projects.
#[derive(Clone)]
pub struct Projects {
    /// The store.
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
        let reader = self.store.reader(accepted.caller.workspace());
        let mut project = shown(reader.find_named(&accepted.message.id).await?);
        let figures = reader.figures::<Project>(&[project.id]).await?;
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
        let (accepted, mask) = accept_update(request, no_more)?;
        let message = &accepted.message;
        let id = &message.id;
        let answered = once_on(&self.store, &accepted, id, async |tx, before: Project| {
            let mut was = shown(before.clone());
            count(&mut was, &tx.figures::<Project>(before.id).await?);
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
        let reader = self.store.reader(accepted.caller.workspace());
        let project: Project = reader.find_named(&accepted.message.id).await?;
        let listed = pages::history::<Project, _>(&self.store, &accepted, project.id).await?;
        let (history, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListProjectHistoryResponse { history, meta }))
    }

    async fn list_tasks(
        &self,
        request: Request<pb::ListTasksRequest>,
    ) -> Result<Response<pb::ListTasksResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let project: Project = reader.find_named(&accepted.message.id).await?;
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
        let answered = once_locking(&self.store, &accepted, async |locking| {
            // Held until the change has ended: it can neither be closed meanwhile nor get another task.
            let any = Precondition::default();
            let (project, locking) = locking.find_for_update(&message.id, &any).await?;
            let mut tx = locking.done();
            let task = tasks::create(&mut tx, &project, message.clone()).await?;
            Ok((pb::CreateTaskResponse { task: Some(task) }, tx))
        });
        Ok(answered.await?)
    }

    async fn get_task(
        &self,
        request: Request<pb::GetTaskRequest>,
    ) -> Result<Response<pb::GetTaskResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let task = tasks::shown(reader.find_named(&accepted.message.task_id).await?);
        Ok(Response::new(pb::GetTaskResponse { task: Some(task) }))
    }

    async fn update_task(
        &self,
        request: Request<pb::UpdateTaskRequest>,
    ) -> Result<Response<pb::UpdateTaskResponse>, Status> {
        let (accepted, mask) = accept_update(request, no_more)?;
        let message = &accepted.message;
        let id = &message.task_id;
        let answered = once_on(&self.store, &accepted, id, async |tx, before: Task| {
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
        let reader = self.store.reader(accepted.caller.workspace());
        let task: Task = reader.find_named(&accepted.message.task_id).await?;
        let listed = pages::history::<Task, _>(&self.store, &accepted, task.id).await?;
        let (history, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListTaskHistoryResponse { history, meta }))
    }
}

impl Answer for pb::CreateProjectResponse {}
impl Answer for pb::UpdateProjectResponse {}
impl Answer for pb::CreateTaskResponse {}
impl Answer for pb::UpdateTaskResponse {}

/// Translates the filters of a list of projects.
fn query(message: &pb::ListProjectsRequest) -> Query {
    let conditions = [
        Condition::dimension(&STATUS, message.status.iter().copied()),
        Condition::numbers("lead_id", &message.lead_id),
        message.q.as_deref().map(|text| Condition::search(&WORDS, text)),
        Condition::since("updated_at", message.updated_since.map(next_milli)),
    ];
    pages::query::<Project>(message.sort.as_deref(), message.updated_since, conditions)
}
