//! Finds out what a request is for, before anything else is done with it: an RPC by its gRPC path
//! or by its HTTP rule, or one of the few things that are not RPCs.

use std::sync::Arc;

use http::{Method, Version};
use rest::{Binding, Match, Route, Routes, Rpc};

use super::host::BadHost;
use super::{Protocol, Request, claims_grpc};
use crate::error::{Error, Kind};
use crate::rpc::{Demand, Rpcs};
use crate::trail::Trail;

/// The methods in `Allow` of the paths that are not RPCs.
const ALLOW_READ: &str = "GET, HEAD, OPTIONS";
/// The methods in `Allow` of those that only take something.
const ALLOW_WRITE: &str = "OPTIONS, POST";

/// The path to which GitHub's secret scanning reports keys that it found.
const GITHUB_SECRET_SCANNING: &str = "/api/public/v1/secret-scanning/github";

/// The RPCs of grpc.health.v1.
const HEALTH: [&str; 2] = ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"];
/// The RPCs of server reflection.
const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The target of a request.
#[derive(Debug, Clone)]
pub enum Target {
    /// An RPC by gRPC; its request is one message.
    Grpc { rpc: &'static Rpc, demand: Demand },
    /// A stream of health or reflection, which may stay open.
    GrpcStream { name: &'static str },
    /// An RPC by its HTTP rule, with the decoded values of its path.
    Rest { binding: Binding, captures: Vec<String>, demand: Demand },
    /// The methods that the path has.
    Options { allow: String },
    /// A page that is no RPC.
    Page(Page),
    /// The endpoint of GitHub's secret scanning, whose format is GitHub's.
    GithubSecretScanning,
}

/// A page that is served beside the RPCs, without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Liveness: the process is up.
    Live,
    /// Readiness: the service reaches its database.
    Ready,
    /// The figures of this process.
    Metrics,
    /// The OpenAPI document.
    OpenApi,
}

impl Page {
    const ALL: [(&'static str, Self); 4] = [
        ("/livez", Self::Live),
        ("/readyz", Self::Ready),
        ("/metrics", Self::Metrics),
        ("/api/public/v1/openapi.json", Self::OpenApi),
    ];
}

impl Target {
    /// Returns the name of the target in the log, which has nothing that the client wrote.
    fn name(&self) -> &'static str {
        match self {
            Self::Grpc { rpc, .. } => rpc.grpc_path,
            Self::GrpcStream { name } => name,
            Self::Rest { binding, .. } => binding.rpc.grpc_path,
            Self::Options { .. } => "OPTIONS",
            Self::Page(Page::Live) => "/livez",
            Self::Page(Page::Ready) => "/readyz",
            Self::Page(Page::Metrics) => "/metrics",
            Self::Page(Page::OpenApi) => "openapi.json",
            Self::GithubSecretScanning => GITHUB_SECRET_SCANNING,
        }
    }

    /// The RPC, and the HTTP rule by which it is called.
    pub fn rpc(&self) -> Option<(&'static Rpc, Option<&'static Route>)> {
        match self {
            Self::Grpc { rpc, .. } => Some((rpc, None)),
            Self::Rest { binding, .. } => Some((binding.rpc, Some(binding.route))),
            Self::GrpcStream { .. }
            | Self::Options { .. }
            | Self::Page(_)
            | Self::GithubSecretScanning => None,
        }
    }

    /// Returns what the target demands of its caller.
    pub fn demand(&self) -> Demand {
        match self {
            Self::Grpc { demand, .. } | Self::Rest { demand, .. } => *demand,
            Self::GrpcStream { .. }
            | Self::Options { .. }
            | Self::Page(_)
            | Self::GithubSecretScanning => Demand::Nothing,
        }
    }
}

/// The table of everything that can be asked for.
#[derive(Debug)]
pub struct Resolver {
    pub rpcs: Rpcs,
    pub routes: Routes,
    pub reflection: bool,
    /// True if GitHub's secret scanning may report keys; if not, its path does not exist.
    pub github_secret_scanning: bool,
}

/// Puts the [`Target`] into the request, or refuses what leads nowhere.
pub fn resolve(resolver: &Resolver, request: &mut Request) -> Result<(), Error> {
    if let Some(BadHost(sentence)) = request.extensions().get() {
        return Err(Error::invalid_field("Host", "INVALID_VALUE", *sentence));
    }
    let path = request.uri().path();
    let target = match Protocol::of(request) {
        Protocol::Grpc | Protocol::GrpcWeb => resolver.grpc(request, path)?,
        Protocol::Rest if is_other_grpc(request) => {
            let message = "This kind of gRPC is not spoken here. Content-Type must be application/grpc, application/grpc-web or application/grpc-web-text, each also with +proto.";
            return Err(Error::new(Kind::UnsupportedMediaType, message));
        }
        Protocol::Rest => resolver.rest(request.method(), path)?,
    };
    tracing::Span::current().record("rpc", tracing::field::display(target.name()));
    if let (Some(trail), Some(rpc)) = (request.extensions().get::<Arc<Trail>>(), target.rpc()) {
        // Set once: a request is resolved once.
        let _ = trail.rpc.set(rpc);
    }
    request.extensions_mut().insert(target);
    Ok(())
}

/// Returns true if a request is for gRPC by its content type and path, in a kind that is not
/// spoken.
fn is_other_grpc(request: &Request) -> bool {
    let path = request.uri().path();
    let is_rest = path == "/api" || path.starts_with("/api/");
    !is_rest && request.method() == Method::POST && claims_grpc(request)
}

impl Resolver {
    fn grpc(&self, request: &Request, path: &str) -> Result<Target, Error> {
        if request.version() < Version::HTTP_2 {
            let message = "gRPC needs HTTP/2, or else gRPC-web.";
            return Err(Error::new(Kind::UnsupportedMediaType, message));
        }
        let target = self.grpc_target(path)?;
        if request.method() != Method::POST {
            return Err(not_allowed(request.method(), "POST"));
        }
        Ok(target)
    }

    fn grpc_target(&self, path: &str) -> Result<Target, Error> {
        if let Some((rpc, demand)) = self.rpcs.find(path) {
            return Ok(Target::Grpc { rpc, demand });
        }
        let reflection = REFLECTION.iter().filter(|_| self.reflection);
        let Some(name) = HEALTH.iter().chain(reflection).find(|name| **name == path) else {
            let message = "There is no such RPC. Server reflection lists those there are.";
            return Err(Error::new(Kind::RouteNotFound, message));
        };
        Ok(Target::GrpcStream { name })
    }

    fn rest(&self, method: &Method, path: &str) -> Result<Target, Error> {
        let page = Page::ALL.iter().find(|(known, _)| *known == path).map(|(_, page)| *page);
        let is_github = self.github_secret_scanning && path == GITHUB_SECRET_SCANNING;
        if method == Method::OPTIONS {
            let unrouted = match page {
                Some(_) => ALLOW_READ,
                None if is_github || self.rpcs.find(path).is_some() => ALLOW_WRITE,
                None => "OPTIONS",
            };
            let allow = self.routes.allow(path).unwrap_or(unrouted).to_owned();
            return Ok(Target::Options { allow });
        }
        match page {
            Some(page) if method == Method::GET || method == Method::HEAD => Ok(Target::Page(page)),
            Some(_) => Err(not_allowed(method, ALLOW_READ)),
            None if is_github && method == Method::POST => Ok(Target::GithubSecretScanning),
            None if is_github => Err(not_allowed(method, ALLOW_WRITE)),
            None => self.route(method, path),
        }
    }

    fn route(&self, method: &Method, path: &str) -> Result<Target, Error> {
        match self.routes.find(method.as_str(), path) {
            Match::Found { binding, captures } => {
                let demand =
                    self.rpcs.find(binding.rpc.grpc_path).map_or(Demand::Key, |(_, demand)| demand);
                Ok(Target::Rest { binding: binding.clone(), captures, demand })
            }
            Match::MethodNotAllowed { allow } => Err(not_allowed(method, allow)),
            Match::NotFound => {
                let message = "There is no such path. /api/public/v1/openapi.json lists those there are; case and slashes matter.";
                Err(Error::new(Kind::RouteNotFound, message))
            }
            Match::BadEscape => {
                let remedy = "the path has a bad percent escape, or one that is not UTF-8";
                Err(Error::invalid_field("path", "BAD_ESCAPE", remedy))
            }
        }
    }
}

fn not_allowed(method: &Method, allow: &str) -> Error {
    let message = format!("This path has no {method}. It has {allow}.");
    Error::new(Kind::MethodNotAllowed { allow: allow.to_owned() }, message)
}
