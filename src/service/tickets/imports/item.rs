//! An item of an import.

use rest::Mask;

use crate::pb;

/// An item, with the fields that it names, and the user to whom it is attributed.
pub struct Item<'a> {
    pub item: &'a pb::TicketImport,
    pub mask: &'a Mask,
    pub by: i64,
}
