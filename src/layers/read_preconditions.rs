//! Reads the preconditions of a request. What is wrong with them is told with everything else that is
//! wrong with the request.

use std::sync::Arc;

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};

use super::Request;
use super::resolve::Target;
use crate::preconditions::Preconditions;

/// Puts the [`Preconditions`] into a request that has some.
pub fn read_preconditions(request: &mut Request) {
    let conditions = [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE];
    if !conditions.iter().any(|condition| request.headers().contains_key(condition)) {
        return;
    }
    let rpc = request.extensions().get::<Target>().and_then(Target::rpc).map(|(rpc, _)| rpc);
    let (versioned, has_figures) =
        rpc.map_or((false, false), |rpc| (rpc.versioned, rpc.has_figures));
    let read = Preconditions::read(request.headers(), versioned, has_figures);
    request.extensions_mut().insert(Arc::new(read));
}
