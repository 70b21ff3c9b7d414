//! References: ids in a request that must name something in its workspace.

use rest::Violations;

use crate::error::Error;
use crate::store::Tx;
use crate::store::nouns::Noun;

/// Notes the ids that name no row of the noun, each by the field in which it stands.
pub async fn check<N: Noun>(
    tx: &Tx,
    named: &[(String, i64)],
    violations: &mut Violations,
) -> Result<(), Error> {
    if named.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = named.iter().map(|(_, id)| *id).collect();
    let missing = tx.missing::<N>(&ids).await?;
    for (field, _) in named.iter().filter(|(_, id)| missing.contains(id)) {
        let resource = N::table().resource.resource_type();
        let message = format!("{field} names no {resource} of this workspace");
        violations.add(field, "INVALID_REFERENCE", message);
    }
    Ok(())
}

/// Refuses a request with an id that names no row of the noun.
pub async fn check_one<N: Noun>(tx: &Tx, field: &str, id: Option<i64>) -> Result<(), Error> {
    let Some(id) = id else { return Ok(()) };
    let mut violations = Violations::default();
    check::<N>(tx, &[(field.to_owned(), id)], &mut violations).await?;
    refuse(violations)
}

/// Refuses a request with which something is wrong; as one of bad references, where that is all.
pub fn refuse(violations: Violations) -> Result<(), Error> {
    let dangling = violations.as_slice().iter().all(|wrong| wrong.code == "INVALID_REFERENCE");
    match violations.is_empty() {
        true => Ok(()),
        false if dangling => Err(Error::invalid_reference(violations)),
        false => Err(Error::invalid(violations)),
    }
}
