//! What all lists have in common: how deep pages are counted off.

use rest::Violations;

use crate::config::{PAGED_ROWS_MAX, PER_PAGE_DEFAULT};

/// Refuses pages beyond the depth to which rows are counted off.
pub fn check_depth(page: Option<i32>, per_page: Option<i32>, violations: &mut Violations) {
    let page = i64::from(page.unwrap_or(1));
    let per_page = per_page.map_or(i64::from(PER_PAGE_DEFAULT), i64::from);
    if page.saturating_mul(per_page) > PAGED_ROWS_MAX {
        let remedy = "page × perPage must be at most 100,000; read on with cursor, from nextCursor of the page before";
        violations.add("page", "OUT_OF_RANGE", remedy);
    }
}
