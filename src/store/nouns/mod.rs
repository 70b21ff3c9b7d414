//! Nouns: the resources that are listed, found, made and changed, by machinery that is written once.
//!
//! A noun is a [`Table`] of facts (its dimensions, orders and narrow filters) and an implementation
//! of [`Noun`] (its row, there and back). What it gets is [`Reader::list`], [`Reader::find`],
//! [`Tx::insert`], [`Locking::find_for_update`] and [`Tx::update`], with counts, cursors and row
//! locks.
//! No module here knows which nouns there are.
//!
//! [`Reader::list`]: super::Reader::list
//! [`Reader::find`]: super::Reader::find
//! [`Tx::insert`]: super::Tx::insert
//! [`Tx::update`]: super::Tx::update
//! [`Locking::find_for_update`]: super::Locking::find_for_update

mod columns;
mod conditions;
pub(in crate::store) mod counts;
pub(in crate::store) mod figures;
mod lookup;
mod merge;
mod noun;
mod page;
mod plan;
mod query;
mod row;
pub mod samples;
mod search;
mod sql;
mod stored;
mod table;
mod totals;
mod words;
mod write;

pub use super::pages::KeyValue;
pub use columns::Columns;
pub use figures::Figures;
pub use noun::{ActiveModel, Figure, FigureNumber, Noun};
pub use query::{Condition, Direction, Query, SideValues};
pub(super) use row::{decode, rows_where, selected};
pub use search::{SEARCH_WORDS_MAX, searched_words};
pub use stored::Stored;
pub(super) use stored::{noun_head, noun_row};
pub use table::{
    AlternateKey, CREATED_AT, Dimension, NarrowFilter, Order, Search, Side, Table, Texts,
    UPDATED_AT, Values,
};
