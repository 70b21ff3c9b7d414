//! Finds out what a request is for, before anything else is done with it: an RPC by its gRPC path
//! or by its HTTP rule, or one of the few things that are not RPCs.

use std::sync::Arc;

use http::Method;
use rest::{Binding, Match, Routes};
use tower::BoxError;

use super::{Protocol, Request};
use crate::error::{Error, Kind};
use crate::rpc::{Demand, Rpcs};

/// What `Allow` says of the paths that are not RPCs.
const ALLOW_READ: &str = "GET, HEAD, OPTIONS";

/// What a request is for.
#[derive(Debug, Clone)]
pub enum Target {
    /// An RPC, or health and reflection, by gRPC.
    Grpc { name: &'static str, demand: Demand },
    /// An RPC by its HTTP rule, with the decoded values of its path.
    Rest { binding: Binding, captures: Vec<String>, demand: Demand },
    /// The methods that the path has.
    Options { allow: String },
    /// Whether the process is up.
    Live,
    /// Whether the service can answer: it reaches its database.
    Ready,
    /// The OpenAPI document.
    OpenApi,
}

impl Target {
    /// What the log calls it: never anything that the client wrote.
    fn name(&self) -> &'static str {
        match self {
            Self::Grpc { name, .. } => name,
            Self::Rest { binding, .. } => binding.rpc.grpc_path,
            Self::Options { .. } => "OPTIONS",
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::OpenApi => "openapi.json",
        }
    }

    /// What it demands of its caller.
    pub fn demand(&self) -> Demand {
        match self {
            Self::Grpc { demand, .. } | Self::Rest { demand, .. } => *demand,
            Self::Options { .. } | Self::Live | Self::Ready | Self::OpenApi => Demand::Nothing,
        }
    }
}

/// All that can be asked for.
#[derive(Debug)]
pub struct Resolver {
    pub rpcs: Rpcs,
    pub routes: Routes,
    pub reflection: bool,
}

/// Puts the [`Target`] into the request, or refuses what leads nowhere.
pub fn resolve(resolver: &Arc<Resolver>, mut request: Request) -> Result<Request, BoxError> {
    let path = request.uri().path();
    let target = match Protocol::of(&request) {
        Protocol::Grpc => resolver.grpc(request.method(), path)?,
        Protocol::Rest => resolver.rest(request.method(), path)?,
    };
    tracing::Span::current().record("target", target.name());
    request.extensions_mut().insert(target);
    Ok(request)
}

impl Resolver {
    fn grpc(&self, method: &Method, path: &str) -> Result<Target, Error> {
        let operational = path.starts_with("/grpc.health.v1.Health/")
            || (self.reflection && path.starts_with("/grpc.reflection.v1"));
        let (name, demand) = match self.rpcs.find(path) {
            Some((rpc, demand)) => (rpc.grpc_path, demand),
            None if operational => ("grpc.health or grpc.reflection", Demand::Nothing),
            None => {
                let message =
                    format!("There is no RPC {path}. Server reflection lists those there are.");
                return Err(Error::new(Kind::RouteNotFound, message));
            }
        };
        if method != Method::POST {
            return Err(not_allowed(method, "POST"));
        }
        Ok(Target::Grpc { name, demand })
    }

    fn rest(&self, method: &Method, path: &str) -> Result<Target, Error> {
        let operational = match path {
            "/livez" => Some(Target::Live),
            "/readyz" => Some(Target::Ready),
            "/api/public/v1/openapi.json" => Some(Target::OpenApi),
            _ => None,
        };
        if method == Method::OPTIONS {
            let unknown = if operational.is_some() { ALLOW_READ } else { "OPTIONS" };
            let allow = self.routes.allow(path).unwrap_or(unknown).to_owned();
            return Ok(Target::Options { allow });
        }
        match operational {
            Some(target) if method == Method::GET || method == Method::HEAD => Ok(target),
            Some(_) => Err(not_allowed(method, ALLOW_READ)),
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
