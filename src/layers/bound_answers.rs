//! Bounds the memory of answers that clients have not read yet.
//!
//! A request is refused while the answers that are held leave no room, and so is a large answer that
//! finds none. The answer to a change is given all the same: to refuse it would hide that the change
//! was made.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http_body::Body as _;
use rest::IdempotencyKeyUse;

use super::resolve::{Page, Target};
use super::{Request, Response};
use crate::config::ANSWER_PIECE_BYTES;
use crate::error::Error;
use crate::grpc::AnswerBytes;
use crate::held_bytes::HeldBytes;
use crate::trail::Trail;

/// What is known of an answer before it is made.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    client: IpAddr,
    is_of_change: bool,
    /// The OpenAPI document is in memory once, whoever reads it.
    is_shared: bool,
}

impl Answer {
    /// Refuses a request whose answer would find no room.
    pub fn begin(held: &HeldBytes, request: &Request) -> Result<Self, Error> {
        let extensions = request.extensions();
        let trail = extensions.get::<Arc<Trail>>();
        let client = trail.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |trail| trail.client);
        let target = extensions.get::<Target>();
        let policy = target.and_then(Target::rpc).and_then(|(rpc, _)| rpc.policy);
        if policy.is_some() {
            held.check(client)?;
        }
        let is_of_change =
            policy.is_some_and(|policy| policy.idempotency_key != IdempotencyKeyUse::Ignored);
        let is_shared = matches!(target, Some(Target::Page(Page::OpenApi)));
        Ok(Self { client, is_of_change, is_shared })
    }

    /// Counts the memory of the answer until it is written, if it is more than a piece.
    pub fn hold(self, held: &HeldBytes, mut response: Response) -> Result<Response, Error> {
        let told = response.extensions().get::<AnswerBytes>().map(|bytes| bytes.0);
        let exact = || response.body().size_hint().exact().map(|bytes| bytes as usize);
        let bytes = told.or_else(exact).unwrap_or_default();
        if self.is_shared || bytes <= ANSWER_PIECE_BYTES {
            return Ok(response);
        }
        let hold = held.hold(self.client);
        if self.is_of_change {
            hold.grow_anyway(bytes);
        } else {
            hold.grow(bytes)?;
        }
        response.extensions_mut().insert(Arc::new(hold));
        Ok(response)
    }
}
