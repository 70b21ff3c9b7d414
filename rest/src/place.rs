//! The place of a value in a request, as the caller writes it: `lines[2].dueAt`.
//!
//! A place is a chain of borrowed steps on the stack; it becomes text only when something is wrong.

use std::fmt;

/// The place of a value.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    before: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
}

/// The most characters of a caller's own name that a message repeats.
const NAME_MAX: usize = 64;

impl<'a> Place<'a> {
    /// The request itself.
    pub const ROOT: Place<'static> = Place { before: None, step: Step::Root };

    /// The field `name` of what stands here.
    pub fn field(&'a self, name: &'a str) -> Place<'a> {
        Place { before: Some(self), step: Step::Field(name) }
    }

    /// The element `index`, from 0, of the list that stands here.
    pub fn index(&'a self, index: usize) -> Place<'a> {
        Place { before: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at_start = self.before.is_none_or(|before| matches!(before.step, Step::Root));
        if let Some(before) = self.before {
            before.fmt(f)?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) => {
                let dot = if at_start { "" } else { "." };
                let shown = name.char_indices().nth(NAME_MAX).map_or(name, |(end, _)| &name[..end]);
                let cut = if shown.len() < name.len() { "…" } else { "" };
                write!(f, "{dot}{shown}{cut}")
            }
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}
