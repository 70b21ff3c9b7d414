//! A REST client whose answers are easy to assert on.

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

/// Sends requests as one key.
#[derive(Clone)]
pub struct Rest {
    client: reqwest::Client,
    origin: String,
    key: String,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Rest {
    /// For the server at `origin`; an empty key sends none.
    pub fn new(origin: String, key: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { client, origin, key: key.to_owned() }
    }

    /// The same over HTTP/2.
    pub fn over_http2(&self) -> Self {
        let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge();
        Self { client: client.build().expect("a client"), ..self.clone() }
    }

    /// A request to a path below the base path, or to any path if it begins with `//`.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = match path.strip_prefix('/').filter(|rest| rest.starts_with('/')) {
            Some(absolute) => format!("{}{absolute}", self.origin),
            None => format!("{}/api/public/v1{path}", self.origin),
        };
        let request = self.client.request(method, url);
        if self.key.is_empty() { request } else { request.bearer_auth(&self.key) }
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PATCH, path).json(&body)).await
    }

    /// A body as it is, said to be JSON.
    pub async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        send(request.body(body)).await
    }
}

/// Sends a request and reads the answer.
pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.expect("a body").to_vec();
    Answer { status, headers, body }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// `data` of a success with this status.
    #[track_caller]
    pub fn data(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let mut json = self.json();
        assert_eq!(json["success"], true);
        json["data"].take()
    }

    /// `error` of a refusal with this status and code, whose envelope is checked on the way.
    #[track_caller]
    pub fn error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.headers["content-type"], "application/json");
        let mut json = self.json();
        assert_eq!(json["success"], false);
        assert_eq!(json["error"]["code"], code, "{json}");
        assert_eq!(
            json["error"]["requestId"],
            self.headers["x-request-id"].to_str().expect("text")
        );
        json["error"].take()
    }

    /// The fields that the details name, in their order.
    #[track_caller]
    pub fn wrong_fields(&self) -> Vec<String> {
        let json = self.json();
        let details = json["error"]["details"].as_array().expect("details");
        details.iter().map(|detail| detail["field"].as_str().expect("a field").to_owned()).collect()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// Status and code of a refusal, and the wrong fields with their codes, in order of the fields.
    pub fn told(&self) -> (u16, String, Vec<(String, String)>) {
        let json = self.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let details = json["error"]["details"].as_array().cloned().unwrap_or_default();
        let fields = details.iter().map(|wrong| (text(&wrong["field"]), text(&wrong["code"])));
        let mut fields: Vec<_> = fields.collect();
        fields.sort();
        (self.status.as_u16(), text(&json["error"]["code"]), fields)
    }

    /// Asserts that the answer to `input` is a 400 of this code that names these fields, each with
    /// its code and a sentence that begins with it, and no other.
    #[track_caller]
    pub fn assert_wrong(&self, input: &str, code: &str, fields: &[(&str, &str)]) {
        let (status, told_code, told) = self.told();
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!((status, told_code.as_str()), (400, code), "{input}: {body}");
        let told: Vec<_> = told.iter().map(|(f, c)| (f.as_str(), c.as_str())).collect();
        assert_eq!(told, fields, "{input}: {body}");
        for detail in self.json()["error"]["details"].as_array().into_iter().flatten() {
            let field = detail["field"].as_str().expect("a field");
            let message = detail["message"].as_str().expect("a message");
            assert!(message.contains(field), "{input}: {detail}");
        }
    }
}
