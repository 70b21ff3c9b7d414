//! The library as a service, and a client that goes through `Routes` and `Binding`.
//!
//! The service does what every service does: it adds its own violations to those of the request,
//! and refuses if there are any. Otherwise it answers with what it was asked for.

use std::sync::Arc;

use rest::{Call, Content, Match, Patch, Refusal, Routes, Validate, Violations};
use rest_probe::pb;
use serde_json::Value;
use tonic::codegen::tokio_stream;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Request, Response, Status};

pub struct Library;

/// The message of a valid request; otherwise one line per violation: field, code, sentence.
fn accept<T: Validate>(request: Request<T>) -> Result<T, Status> {
    let (_, mut extensions, message) = request.into_parts();
    let mut violations: Violations = extensions.remove().unwrap_or_default();
    message.validate(&mut violations);
    if violations.is_empty() {
        return Ok(message);
    }
    let lines = violations.as_slice().iter();
    let lines: Vec<_> = lines.map(|v| format!("{} {}: {}", v.field, v.code, v.message)).collect();
    Err(Status::invalid_argument(lines.join("\n")))
}

fn book(id: i64) -> pb::Book {
    pb::Book { id, title: "Ubik".to_owned(), genre: 1, version: Some(4), ..Default::default() }
}

#[tonic::async_trait]
impl pb::library_service_server::LibraryService for Library {
    type WatchBooksStream = tokio_stream::Empty<Result<pb::WatchBooksResponse, Status>>;

    async fn list_books(
        &self,
        request: Request<pb::ListBooksRequest>,
    ) -> Result<Response<pb::ListBooksResponse>, Status> {
        let request = format!("{:?}", accept(request)?);
        let meta = Some(pb::PageMeta { total_count: 2 });
        Ok(Response::new(pb::ListBooksResponse { books: vec![book(1), book(2)], meta, request }))
    }

    async fn get_book(
        &self,
        request: Request<pb::GetBookRequest>,
    ) -> Result<Response<pb::Book>, Status> {
        let seen = request.metadata().get("x-seen").cloned();
        match accept(request)?.id {
            404 => Err(Status::not_found("There is no such book.")),
            id => {
                let mut response = Response::new(book(id));
                response.metadata_mut().extend_seen(seen);
                Ok(response)
            }
        }
    }

    async fn get_featured_book(
        &self,
        request: Request<pb::GetFeaturedBookRequest>,
    ) -> Result<Response<pb::GetFeaturedBookResponse>, Status> {
        accept(request)?;
        Ok(Response::new(pb::GetFeaturedBookResponse { book: None }))
    }

    async fn create_book(
        &self,
        request: Request<pb::CreateBookRequest>,
    ) -> Result<Response<pb::CreateBookResponse>, Status> {
        let pb::CreateBookRequest { shelf, book, notify } = accept(request)?;
        let new = book.unwrap_or_default();
        let (title, genre) = (new.title, new.genre);
        let tags = vec![shelf, notify.to_string()];
        let book = Some(pb::Book { title, genre, tags, ..Default::default() });
        Ok(Response::new(pb::CreateBookResponse { book }))
    }

    async fn replace_book(
        &self,
        request: Request<pb::ReplaceBookRequest>,
    ) -> Result<Response<pb::ReplaceBookResponse>, Status> {
        let book = accept(request)?.book;
        Ok(Response::new(pb::ReplaceBookResponse { book }))
    }

    async fn update_book(
        &self,
        request: Request<pb::UpdateBookRequest>,
    ) -> Result<Response<pb::UpdateBookResponse>, Status> {
        let mask = accept(request)?.mask(&mut Violations::default());
        let changed = mask.iter().map(str::to_owned).collect();
        Ok(Response::new(pb::UpdateBookResponse { changed }))
    }

    async fn shelve_books(
        &self,
        mut request: Request<pb::ShelveBooksRequest>,
    ) -> Result<Response<pb::ShelveBooksResponse>, Status> {
        let mut violations: Violations = request.extensions_mut().remove().unwrap_or_default();
        request.get_ref().validate(&mut violations);
        let wrong = violations.take_items();
        request.extensions_mut().insert(violations);
        let items = accept(request)?.items;
        let told = items.iter().enumerate().map(|(index, item)| match wrong.get(&index) {
            Some(violations) => {
                let found = violations.as_slice().iter();
                let found = found.map(|it| format!("{} {}: {}", it.field, it.code, it.message));
                found.collect::<Vec<_>>().join("; ")
            }
            None => {
                let mask = item.mask(&mut Violations::default());
                format!("{} {}", item.id, mask.iter().collect::<Vec<_>>().join(","))
            }
        });
        Ok(Response::new(pb::ShelveBooksResponse { told: told.collect() }))
    }

    async fn delete_book(
        &self,
        request: Request<pb::DeleteBookRequest>,
    ) -> Result<Response<pb::DeleteBookResponse>, Status> {
        accept(request)?;
        Ok(Response::new(pb::DeleteBookResponse {}))
    }

    async fn archive_book(
        &self,
        request: Request<pb::ArchiveBookRequest>,
    ) -> Result<Response<pb::ArchiveBookResponse>, Status> {
        let pb::ArchiveBookRequest { id, reason } = accept(request)?;
        Ok(Response::new(pb::ArchiveBookResponse { id, reason }))
    }

    async fn get_shelf(
        &self,
        request: Request<pb::GetShelfRequest>,
    ) -> Result<Response<pb::GetShelfResponse>, Status> {
        let name = accept(request)?.name;
        Ok(Response::new(pb::GetShelfResponse { name }))
    }

    async fn get_file(
        &self,
        request: Request<pb::GetFileRequest>,
    ) -> Result<Response<pb::GetFileResponse>, Status> {
        let path = accept(request)?.path;
        Ok(Response::new(pb::GetFileResponse { path }))
    }

    async fn count_books(
        &self,
        request: Request<pb::CountBooksRequest>,
    ) -> Result<Response<pb::CountBooksResponse>, Status> {
        let genre = accept(request)?.genre;
        Ok(Response::new(pb::CountBooksResponse { genre }))
    }

    async fn echo(
        &self,
        request: Request<pb::EchoRequest>,
    ) -> Result<Response<pb::EchoResponse>, Status> {
        let everything = accept(request)?.everything;
        Ok(Response::new(pb::EchoResponse { everything }))
    }

    async fn watch_books(
        &self,
        _: Request<pb::WatchBooksRequest>,
    ) -> Result<Response<Self::WatchBooksStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

trait ExtendSeen {
    fn extend_seen(&mut self, seen: Option<AsciiMetadataValue>);
}

impl ExtendSeen for MetadataMap {
    fn extend_seen(&mut self, seen: Option<AsciiMetadataValue>) {
        if let Some(seen) = seen {
            self.insert("x-seen", seen);
        }
    }
}

/// What came back.
#[derive(Debug)]
pub enum Answer {
    Reply { status: u16, json: Value, version: Option<i64>, metadata: MetadataMap },
    Malformed(String),
    Refused(Status),
    NoRoute,
    Allow(String),
    BadEscape,
}

impl Answer {
    /// The data of a success.
    pub fn data(self) -> Value {
        match self {
            Self::Reply { mut json, .. } => json["data"].take(),
            other => panic!("not a success: {other:?}"),
        }
    }

    /// The violations, as `field CODE`.
    pub fn violations(self) -> Vec<String> {
        let lines = self.sentences();
        lines.iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
    }

    /// The violations, as `field CODE: sentence`.
    pub fn sentences(self) -> Vec<String> {
        match self {
            Self::Refused(status) => status.message().lines().map(str::to_owned).collect(),
            other => panic!("not refused: {other:?}"),
        }
    }

    /// The value of the `Allow` header.
    pub fn allow(self) -> String {
        match self {
            Self::Allow(allow) => allow,
            other => panic!("not a wrong method: {other:?}"),
        }
    }

    /// Why the body is no JSON object.
    pub fn malformed(self) -> String {
        match self {
            Self::Malformed(sentence) => sentence,
            other => panic!("not malformed: {other:?}"),
        }
    }
}

pub fn routes() -> Routes {
    Routes::new(pb::library_service_bindings(Arc::new(Library))).expect("no two routes are alike")
}

pub async fn get(target: &str) -> Answer {
    send("GET", target, "").await
}

pub async fn send(method: &str, target: &str, body: impl Into<Vec<u8>>) -> Answer {
    send_with(method, target, body, Call::default()).await
}

pub async fn send_with(method: &str, target: &str, body: impl Into<Vec<u8>>, call: Call) -> Answer {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let routes = routes();
    let (binding, captures) = match routes.find(method, path) {
        Match::Found { binding, captures } => (binding, captures),
        Match::MethodNotAllowed { allow } => return Answer::Allow(allow.to_owned()),
        Match::NotFound => return Answer::NoRoute,
        Match::BadEscape => return Answer::BadEscape,
    };
    let body = bytes::Bytes::from(body.into());
    match binding.call(Call { captures, query, body, ..call }).await {
        Ok(reply) => Answer::Reply {
            status: reply.status,
            json: match &reply.content {
                Content::Whole(body) => serde_json::from_slice(body).expect("an answer is JSON"),
                Content::Stream(_) => panic!("no RPC of the library streams over REST"),
            },
            version: reply.version,
            metadata: reply.metadata,
        },
        Err(Refusal::MalformedJson(sentence)) => Answer::Malformed(sentence),
        Err(Refusal::Status(status)) => Answer::Refused(status),
    }
}
