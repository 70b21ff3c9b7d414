//! The violations of a request, collected so that all can be told at once.
//!
//! It does not decide what is wrong, and it renders nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::place::Place;

/// A wrong field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path as the caller writes it, such as `tags[3]`.
    pub field: String,
    /// A stable code, such as `INVALID_ENUM`.
    pub code: &'static str,
    /// The fault and its remedy, as a sentence.
    pub message: String,
}

/// A fault of a value, before it is known where the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// A stable code, such as `WRONG_TYPE`.
    pub code: &'static str,
    /// The sentence without its subject, such as `must be an integer`.
    pub remedy: Cow<'static, str>,
}

impl Wrong {
    /// A value that is wrong in this way.
    pub fn new(code: &'static str, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self { code, remedy: remedy.into() }
    }

    /// A value of another type than the field's.
    pub fn wrong_type(remedy: &'static str) -> Self {
        Self::new("WRONG_TYPE", remedy)
    }
}

/// The wrong fields of one request, in the order they were found; at most [`Violations::MAX`].
///
/// Where the items of a list are judged one by one, each has violations of its own, whose places begin
/// at the item; they do not refuse the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    found: Vec<Violation>,
    of_items: BTreeMap<usize, Violations>,
}

impl Violations {
    /// The most violations that one answer lists: a body of a megabyte can hold far more.
    pub const MAX: usize = 100;

    /// Notes what is wrong with `field`, unless something was already said of it.
    pub fn add(
        &mut self,
        field: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) {
        let field = field.into();
        if self.found.len() < Self::MAX && !self.names(&field) {
            self.found.push(Violation { field, code, message: message.into() });
        }
    }

    /// Notes that the value at `at` is wrong; the sentence begins with the field's name.
    pub fn note(&mut self, at: &Place<'_>, wrong: Wrong) {
        if self.found.len() < Self::MAX {
            let field = at.to_string();
            let message = format!("{field} {}", wrong.remedy);
            self.add(field, wrong.code, message);
        }
    }

    /// Adds those of another part of the request.
    pub fn extend(&mut self, others: &Self) {
        for other in &others.found {
            self.add(other.field.clone(), other.code, other.message.clone());
        }
    }

    /// Returns the violations of the item at this index, from 0, of the list whose items are
    /// judged.
    pub fn item(&mut self, index: usize) -> &mut Self {
        self.of_items.entry(index).or_default()
    }

    /// Takes out what is wrong with items, by their index; none stands there that is right.
    pub fn take_items(&mut self) -> BTreeMap<usize, Self> {
        let mut items = std::mem::take(&mut self.of_items);
        items.retain(|_, violations| !violations.is_empty());
        items
    }

    /// Returns true if something was already said of `field`.
    pub fn names(&self, field: &str) -> bool {
        self.found.iter().any(|violation| violation.field == field)
    }

    /// Returns true if nothing is wrong but what may be wrong with items.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns true if nothing is wrong at all.
    pub(crate) fn is_blank(&self) -> bool {
        self.is_empty() && self.of_items.values().all(Self::is_blank)
    }

    /// The wrong fields, in the order they were found.
    pub fn as_slice(&self) -> &[Violation] {
        &self.found
    }
}
