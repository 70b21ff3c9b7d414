//! Path templates of HTTP rules, such as `/v1/{name=shelves/*/books/**}:archive`.
//!
//! It reads them, and cuts the values of a template's variables out of a path that fits; which
//! template fits a path is for [`crate::routes`].

use crate::escape::{self, BadEscape, UrlPart};

/// A template, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub segments: Vec<Segment>,
    variables: Vec<Variable>,
    /// The verb behind the colon of the last segment; empty for none.
    pub verb: &'static str,
}

/// A segment of a template, which fits one step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment {
    /// This text only.
    Literal(&'static str),
    /// `*`: any one segment.
    One,
    /// `**`: all segments that are left, or none.
    Rest,
}

/// The segments that a variable stands for.
#[derive(Debug, PartialEq, Eq)]
struct Variable {
    first: usize,
    count: usize,
    part: UrlPart,
}

impl Template {
    /// Reads a template; a sentence about what is wrong with it otherwise.
    pub fn parse(template: &'static str) -> Result<Self, String> {
        let malformed = || format!("{template} is not a path template");
        let path = template.strip_prefix('/').ok_or_else(malformed)?;
        let last = path.rfind(['/', '}']).map_or(0, |at| at + 1);
        let (path, verb) = match path[last..].find(':') {
            Some(colon) => (&path[..last + colon], &path[last + colon + 1..]),
            None => (path, ""),
        };
        let mut parsed = Self { segments: Vec::new(), variables: Vec::new(), verb };
        let mut rest = Some(path);
        while let Some(path) = rest {
            let (step, after) = split_step(path).ok_or_else(malformed)?;
            parsed.push(step);
            rest = after;
        }
        let before_last = &parsed.segments[..parsed.segments.len() - 1];
        if before_last.contains(&Segment::Rest) || parsed.segments.contains(&Segment::Literal("")) {
            return Err(malformed());
        }
        Ok(parsed)
    }

    fn push(&mut self, step: &'static str) {
        let Some(variable) = step.strip_prefix('{').and_then(|step| step.strip_suffix('}')) else {
            self.segments.push(Segment::new(step));
            return;
        };
        let pattern = variable.split_once('=').map_or("*", |(_, pattern)| pattern);
        let first = self.segments.len();
        self.segments.extend(pattern.split('/').map(Segment::new));
        let count = self.segments.len() - first;
        let part = if pattern == "*" { UrlPart::Segment } else { UrlPart::Segments };
        self.variables.push(Variable { first, count, part });
    }

    /// The values of the variables in a raw path that fits this template.
    pub fn captures(&self, path: &str) -> Result<Vec<String>, BadEscape> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = match self.verb {
            "" => path,
            verb => path.strip_suffix(verb).and_then(|p| p.strip_suffix(':')).unwrap_or(path),
        };
        let value = |variable: &Variable| {
            let from = skip_segments(path, variable.first);
            let last = self.segments[variable.first + variable.count - 1];
            let raw = match (last, skip_segments(from, variable.count)) {
                (Segment::Rest, _) | (_, "") => from,
                (_, after) => &from[..from.len() - after.len() - 1],
            };
            escape::decode(raw, variable.part).map(|value| value.into_owned())
        };
        self.variables.iter().map(value).collect()
    }
}

impl Segment {
    fn new(step: &'static str) -> Self {
        match step {
            "*" => Self::One,
            "**" => Self::Rest,
            literal => Self::Literal(literal),
        }
    }
}

/// Splits `{name=a/*}/b` into its first step and what follows the slash behind it.
fn split_step(path: &str) -> Option<(&str, Option<&str>)> {
    let end = if path.starts_with('{') {
        path.find('}')? + 1
    } else {
        path.find('/').unwrap_or(path.len())
    };
    let (step, after) = path.split_at(end);
    match after.strip_prefix('/') {
        None if !after.is_empty() => None,
        after => Some((step, after)),
    }
}

/// The path without its first `count` segments; empty when it has no more.
fn skip_segments(path: &str, count: usize) -> &str {
    (0..count).fold(path, |path, _| path.split_once('/').map_or("", |(_, after)| after))
}
