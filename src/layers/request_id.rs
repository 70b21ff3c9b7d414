//! Gives every request an id and puts it on the answer.

use http::{HeaderName, HeaderValue};

use super::around::{Answered, Around};
use super::{Request, ResponseFuture};
use crate::auth::key::holds_key;
use crate::id;

/// The header that carries the id, both ways.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const LEN_MAX: usize = 128;

/// The id of a request: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the client sent, or a new one when it sent none, several or a bad one. A key is
    /// a bad one: ids stand in answers and logs.
    fn of(request: &Request) -> Self {
        let mut sent = request.headers().get_all(X_REQUEST_ID).iter();
        match (sent.next(), sent.next()) {
            (Some(value), None) if is_valid(value.as_bytes()) => Self(value.clone()),
            _ => Self(HeaderValue::try_from(id::request()).expect("base62 is visible ASCII")),
        }
    }

    /// The id as a header's value.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("checked to be visible ASCII")
    }
}

fn is_valid(value: &[u8]) -> bool {
    let text = std::str::from_utf8(value).unwrap_or_default();
    (1..=LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !holds_key(text)
}

/// The layer that gives every request an id.
#[derive(Debug, Clone, Copy)]
pub struct RequestIds;

impl Around for RequestIds {
    fn around<F: Answered>(
        &self,
        mut request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> ResponseFuture {
        let id = RequestId::of(&request);
        request.extensions_mut().insert(id.clone());
        let answered = next(request);
        Box::pin(async move {
            let mut response = answered.await?;
            response.headers_mut().insert(X_REQUEST_ID, id.0);
            Ok(response)
        })
    }
}
