//! The steps between the statuses of a resource, which the contract declares once.

use rest::Steps;

use crate::error::{Error, Kind, Transition};

/// Refuses a step that a status of the contract's enum `S` cannot take; `what` is such as "A ticket".
pub fn check<S: Steps>(what: &str, from: i16, to: i16) -> Result<(), Error> {
    let (from, to) = (i32::from(from), i32::from(to));
    let next = S::next(from);
    if next.contains(&to) {
        return Ok(());
    }
    let (was, wanted) = (name::<S>(from), name::<S>(to));
    let allowed: Vec<_> = next.iter().map(|status| name::<S>(*status)).collect();
    let message = match allowed.join(", ").as_str() {
        "" => format!("{what} that is {was} stays so: it cannot become {wanted}."),
        list => format!("{what} that is {was} cannot become {wanted}, only {list}."),
    };
    Err(refused(was, wanted, allowed, message))
}

/// The name of a status in the API.
pub fn name<S: Steps>(number: i32) -> &'static str {
    S::NAMES.name(number).expect("what is stored was validated, so the contract has a name for it")
}

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
