//! The refusal of a step that a status cannot take.

use crate::error::{Error, Kind, Transition};

/// The refusal of a step; `allowed` are the statuses that could follow, and `message` tells why.
pub fn refused(
    from: &'static str,
    to: &'static str,
    allowed: Vec<&'static str>,
    message: String,
) -> Error {
    let allowed = allowed.into_iter().map(Into::into).collect();
    let transition = Box::new(Transition { from: from.into(), to: to.into(), allowed });
    Error::new(Kind::InvalidStatusTransition(transition), message)
}
