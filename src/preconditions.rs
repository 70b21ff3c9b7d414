//! Preconditions of a request (RFC 9110 section 13): the versions of a resource for which it is meant.
//!
//! An entity tag is the version of the resource, and where the answer shows figures that change
//! without a version, a digest of the answer behind a hyphen.

use std::sync::Arc;

use headers::ETag;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName};
use rest::Violations;

use crate::error::{Error, Kind};

/// Those that go by time: nothing here tells when a resource changed by a header.
const BY_TIME: [(HeaderName, &str); 3] = [
    (IF_MODIFIED_SINCE, "If-Modified-Since"),
    (IF_UNMODIFIED_SINCE, "If-Unmodified-Since"),
    (IF_RANGE, "If-Range"),
];

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
    /// Whether a digest may stand behind the version.
    has_figures: bool,
    /// What is wrong with them.
    pub violations: Violations,
    /// The lines themselves: the same request under another condition is another one.
    pub lines: Vec<Vec<u8>>,
}

/// The versions of a resource for which a change is meant, whichever way the request says so. Without
/// a word about it, a change is meant for every version.
#[derive(Debug, Clone, Default)]
pub struct Precondition {
    conditions: Arc<Preconditions>,
    version: Option<i64>,
}

impl Precondition {
    /// What the headers of a request ask for, and its message.
    pub fn new(conditions: Arc<Preconditions>, version: Option<i64>) -> Self {
        Self { conditions, version }
    }

    /// Refuses a change of a resource that is at another version.
    pub fn hold(&self, at: i64) -> Result<(), Error> {
        self.conditions.hold(at, self.version)
    }
}

/// The tags of a condition.
#[derive(Debug, Clone)]
enum Tags {
    /// Those of whatever there is.
    Any,
    OneOf(Vec<Tag>),
}

#[derive(Debug, Clone)]
struct Tag {
    is_weak: bool,
    opaque: String,
}

/// What a condition makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is given.
    Given,
    /// Who asks has it already.
    NotModified,
}

impl Preconditions {
    /// Those of a request, for a resource with a version or for what has none.
    pub fn read(headers: &HeaderMap, versioned: bool, has_figures: bool) -> Self {
        let mut read = Self { has_figures, ..Self::default() };
        for (header, name) in BY_TIME {
            if headers.contains_key(&header) {
                let remedy = format!("{name} is not taken here; use If-Match or If-None-Match");
                read.violations.add(name, "UNSUPPORTED_PRECONDITION", remedy);
            }
        }
        read.if_match = read.tags(headers, &IF_MATCH, "If-Match", versioned);
        read.lines.extend(lines(headers, &IF_MATCH));
        read.if_none_match = read.tags(headers, &IF_NONE_MATCH, "If-None-Match", versioned);
        read.lines.extend(lines(headers, &IF_NONE_MATCH).map(|line| [b"!", &*line].concat()));
        read
    }

    fn tags(
        &mut self,
        headers: &HeaderMap,
        header: &HeaderName,
        name: &str,
        versioned: bool,
    ) -> Option<Tags> {
        let lines: Vec<_> = headers.get_all(header).iter().collect();
        if lines.is_empty() {
            return None;
        }
        if !versioned {
            let remedy =
                format!("{name} is taken only where a resource has a version; leave it out");
            self.violations.add(name, "UNSUPPORTED_PRECONDITION", remedy);
            return None;
        }
        let lines: Option<Vec<_>> = lines.into_iter().map(|line| line.to_str().ok()).collect();
        let tags = lines.and_then(|lines| parse(&lines.join(",")));
        if tags.is_none() {
            let remedy = format!("{name} must be an ETag such as \"3\", a list of them, or *");
            self.violations.add(name, "INVALID_VALUE", remedy);
        }
        tags
    }

    /// Refuses a change of a resource at another version than the one that is meant. `version` is
    /// what the message itself asks for.
    fn hold(&self, at: i64, version: Option<i64>) -> Result<(), Error> {
        let fails = self.if_match.as_ref().is_some_and(|tags| !self.names_version(tags, at, false));
        let exists = self.if_none_match.as_ref();
        let exists = exists.is_some_and(|tags| self.names_version(tags, at, true));
        if !fails && !exists && version.is_none_or(|version| version == at) {
            return Ok(());
        }
        let message = format!(
            "The resource is at version {at}, which is not what the request asks for. Get it again and repeat the request."
        );
        Err(Error::new(Kind::VersionConflict, message))
    }

    /// What becomes of the answer to a read, whose entity tag is this without its quotes.
    pub fn answer(&self, at: i64, tag: &str) -> Result<Outcome, Error> {
        if self.if_match.as_ref().is_some_and(|tags| !self.names_version(tags, at, false)) {
            self.hold(at, None)?;
        }
        let has_it = match &self.if_none_match {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::OneOf(tags)) => tags.iter().any(|held| held.opaque == tag),
        };
        Ok(if has_it { Outcome::NotModified } else { Outcome::Given })
    }

    /// Whether the tags name this version; weak ones only where they may.
    fn names_version(&self, tags: &Tags, at: i64, weakly: bool) -> bool {
        let Tags::OneOf(tags) = tags else { return true };
        let at = at.to_string();
        tags.iter().filter(|tag| weakly || !tag.is_weak).any(|tag| {
            let (version, digest) = match tag.opaque.split_once('-') {
                Some((version, digest)) => (version, Some(digest)),
                None => (tag.opaque.as_str(), None),
            };
            version == at && (digest.is_none() || self.has_figures)
        })
    }
}

fn lines(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = Vec<u8>> {
    headers.get_all(name).iter().map(|line| line.as_bytes().to_vec())
}

/// The tags of a list, or `*` alone; none where it is neither.
fn parse(list: &str) -> Option<Tags> {
    if list.trim() == "*" {
        return Some(Tags::Any);
    }
    let mut is_quoted = false;
    let items = list.split(|character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    });
    let items = items.map(str::trim).filter(|item| !item.is_empty());
    let tags: Vec<_> = items.map(parse_tag).collect::<Option<_>>()?;
    if tags.is_empty() { None } else { Some(Tags::OneOf(tags)) }
}

fn parse_tag(item: &str) -> Option<Tag> {
    // RFC 2616 allowed spaces in a tag; such a one is of no version of ours. The parser panics at them.
    let item = item.replace(' ', "!");
    item.bytes().all(|byte| byte.is_ascii_graphic()).then_some(())?;
    item.parse::<ETag>().ok()?;
    let is_weak = item.starts_with("W/");
    let opaque = item.trim_start_matches("W/").trim_matches('"').to_owned();
    Some(Tag { is_weak, opaque })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(header: HeaderName, line: &str, has_figures: bool) -> Preconditions {
        let line = HeaderValue::from_str(line).expect("a value");
        Preconditions::read(&HeaderMap::from_iter([(header, line)]), true, has_figures)
    }

    #[test]
    fn a_condition_is_tags_or_a_star() {
        for right in ["*", " * ", "\"1\"", "\"1\", W/\"2\"", "\"a,b\"", ", \"1\",", "\"\""] {
            assert!(read(IF_MATCH, right, false).violations.is_empty(), "{right}");
        }
        for wrong in ["", "1", "\"1", "*, \"1\"", "\"1\" \"2\"", "w/\"1\"", "\"1\"x", ",", "\"\t\""]
        {
            assert!(!read(IF_MATCH, wrong, false).violations.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn if_match_compares_strongly_and_if_none_match_weakly() {
        for (line, matches) in
            [("\"3\"", true), ("W/\"3\"", false), ("\"2\", \"3\"", true), ("*", true)]
        {
            assert_eq!(read(IF_MATCH, line, false).hold(3, None).is_ok(), matches, "{line}");
        }
        for (line, matches) in [("\"3\"", true), ("W/\"3\"", true), ("\"2\"", false), ("*", true)] {
            let read = read(IF_NONE_MATCH, line, false);
            assert_eq!(read.hold(3, None).is_err(), matches, "{line}");
            let expected = if matches { Outcome::NotModified } else { Outcome::Given };
            assert_eq!(read.answer(3, "3").expect("given"), expected, "{line}");
        }
    }

    #[test]
    fn a_digest_counts_for_a_read_alone() {
        assert!(read(IF_MATCH, "\"3-ab\"", true).hold(3, None).is_ok());
        assert!(read(IF_MATCH, "\"3-ab\"", false).hold(3, None).is_err());
        assert!(read(IF_MATCH, "\"3\"", true).answer(3, "3-ab").is_ok());
        let outcome = |line, tag| read(IF_NONE_MATCH, line, true).answer(3, tag).expect("given");
        assert_eq!(outcome("\"3-ab\"", "3-ab"), Outcome::NotModified);
        assert_eq!(outcome("\"3-ab\"", "3-cd"), Outcome::Given);
        assert_eq!(outcome("\"3\"", "3-cd"), Outcome::Given);
    }
}
