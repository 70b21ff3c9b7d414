//! What all lists have in common: how a page is asked for, and where it stands in the list.

use rest::Violations;

use crate::config::{PAGED_ROWS_MAX, PER_PAGE_DEFAULT};
use crate::error::Error;
use crate::pb;
use crate::store::{CursorError, CursorKey, PageRequest, Position};

/// The page that a request asks for, as its message has it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'m> {
    pub page: Option<i32>,
    pub per_page: Option<i32>,
    pub cursor: Option<&'m str>,
}

impl Asked<'_> {
    /// Refuses pages beyond the depth to which rows are counted off, and two places at once.
    pub fn check(self, violations: &mut Violations) {
        let page = i64::from(self.page.unwrap_or(1));
        let per_page = self.per_page.map_or(i64::from(PER_PAGE_DEFAULT), i64::from);
        if page.saturating_mul(per_page) > PAGED_ROWS_MAX {
            let remedy = "page × perPage must be at most 100,000; read on with cursor, from nextCursor of the page before";
            violations.add("page", "OUT_OF_RANGE", remedy);
        }
        if self.page.is_some() && self.cursor.is_some() {
            let remedy = "cursor cannot be combined with page: send one of them";
            violations.add("cursor", "INVALID_COMBINATION", remedy);
        }
    }

    /// The page of a list, whose cursors are read by `decode`. The request was checked.
    pub fn request(
        self,
        decode: impl FnOnce(&str) -> Result<CursorKey, CursorError>,
    ) -> Result<PageRequest, Error> {
        let position = match self.cursor {
            None => Position::Page(self.page.unwrap_or(1) as u32),
            Some(text) => Position::After(decode(text).map_err(bad_cursor)?),
        };
        let per_page = self.per_page.map_or(PER_PAGE_DEFAULT, |per_page| per_page as u32);
        Ok(PageRequest { per_page, position })
    }
}

fn bad_cursor(error: CursorError) -> Error {
    let remedy = match error {
        CursorError::Malformed => "cursor must be the nextCursor of an earlier page, unchanged",
        CursorError::OtherList => {
            "cursor was made with other filters or another order: repeat those, or begin without cursor"
        }
    };
    Error::invalid_field("cursor", "INVALID_CURSOR", remedy)
}

/// Where a page stands in its list.
pub fn meta(page: PageRequest, total_count: i64, next_cursor: Option<String>) -> pb::PageMeta {
    pb::PageMeta {
        page: match page.position {
            Position::Page(page) => Some(page as i32),
            Position::After(_) => None,
        },
        per_page: page.per_page as i32,
        total_count,
        has_more: next_cursor.is_some(),
        next_cursor,
    }
}
