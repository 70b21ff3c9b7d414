//! SystemService: the service about itself.

use tonic::{Request, Response, Status};

use super::{accept_public, no_more};
use crate::pb;

/// Answers for the service itself; it has no state.
#[derive(Debug, Clone, Copy)]
pub struct Systems;

#[tonic::async_trait]
impl pb::system_service_server::SystemService for Systems {
    async fn ping(
        &self,
        request: Request<pb::PingRequest>,
    ) -> Result<Response<pb::PingResponse>, Status> {
        accept_public(request, no_more)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Response::new(pb::PingResponse { status: "ok".to_owned(), version }))
    }
}
