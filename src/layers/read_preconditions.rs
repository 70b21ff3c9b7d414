//! Reads the preconditions of a request. What is wrong with them is told with everything else that is
//! wrong with the request.

use std::sync::Arc;

use headers::ETag;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName};

use super::Request;
use super::resolve::Target;
use crate::preconditions::{Preconditions, Tag, Tags};

/// The preconditions by time, which are refused: no header tells when a resource changed.
const BY_TIME: [(HeaderName, &str); 3] = [
    (IF_MODIFIED_SINCE, "If-Modified-Since"),
    (IF_UNMODIFIED_SINCE, "If-Unmodified-Since"),
    (IF_RANGE, "If-Range"),
];

/// Puts the [`Preconditions`] into a request that has some.
pub fn read_preconditions(request: &mut Request) {
    let conditions = [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE];
    if !conditions.iter().any(|condition| request.headers().contains_key(condition)) {
        return;
    }
    let rpc = request.extensions().get::<Target>().and_then(Target::rpc).map(|(rpc, _)| rpc);
    let (versioned, has_figures) =
        rpc.map_or((false, false), |rpc| (rpc.versioned, rpc.has_figures));
    let read = read(request.headers(), versioned, has_figures);
    request.extensions_mut().insert(Arc::new(read));
}

/// Reads the preconditions of a request, for a resource with a version or for one without.
fn read(headers: &HeaderMap, versioned: bool, has_figures: bool) -> Preconditions {
    let mut read = Preconditions { has_figures, ..Preconditions::default() };
    for (header, name) in BY_TIME {
        if headers.contains_key(&header) {
            let remedy = format!("{name} is not taken here; use If-Match or If-None-Match");
            read.violations.add(name, "UNSUPPORTED_PRECONDITION", remedy);
        }
    }
    read.if_match = tags(&mut read, headers, &IF_MATCH, "If-Match", versioned);
    read.lines.extend(lines(headers, &IF_MATCH));
    read.if_none_match = tags(&mut read, headers, &IF_NONE_MATCH, "If-None-Match", versioned);
    read.lines.extend(lines(headers, &IF_NONE_MATCH).map(|line| [b"!", &*line].concat()));
    read
}

fn tags(
    read: &mut Preconditions,
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
        let remedy = format!("{name} is taken only where a resource has a version; leave it out");
        read.violations.add(name, "UNSUPPORTED_PRECONDITION", remedy);
        return None;
    }
    let lines: Option<Vec<_>> = lines.into_iter().map(|line| line.to_str().ok()).collect();
    let tags = lines.and_then(|lines| parse(&lines.join(",")));
    if tags.is_none() {
        let remedy = format!("{name} must be an ETag such as \"3\", a list of them, or *");
        read.violations.add(name, "INVALID_VALUE", remedy);
    }
    tags
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

    use crate::error::Error;
    use crate::preconditions::{Outcome, Precondition};

    use super::*;

    fn read(header: HeaderName, line: &str, has_figures: bool) -> Preconditions {
        let line = HeaderValue::from_str(line).expect("a value");
        super::read(&HeaderMap::from_iter([(header, line)]), true, has_figures)
    }

    /// Checks a precondition against a resource at version 3.
    fn hold(read: &Preconditions) -> Result<(), Error> {
        Precondition::new(Arc::new(read.clone()), None).hold(3)
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
            assert_eq!(hold(&read(IF_MATCH, line, false)).is_ok(), matches, "{line}");
        }
        for (line, matches) in [("\"3\"", true), ("W/\"3\"", true), ("\"2\"", false), ("*", true)] {
            let read = read(IF_NONE_MATCH, line, false);
            assert_eq!(hold(&read).is_err(), matches, "{line}");
            let expected = if matches { Outcome::NotModified } else { Outcome::Given };
            assert_eq!(read.answer(3, "3").expect("given"), expected, "{line}");
        }
    }

    #[test]
    fn a_digest_counts_for_a_read_alone() {
        assert!(hold(&read(IF_MATCH, "\"3-ab\"", true)).is_ok());
        assert!(hold(&read(IF_MATCH, "\"3-ab\"", false)).is_err());
        assert!(read(IF_MATCH, "\"3\"", true).answer(3, "3-ab").is_ok());
        let outcome = |line, tag| read(IF_NONE_MATCH, line, true).answer(3, tag).expect("given");
        assert_eq!(outcome("\"3-ab\"", "3-ab"), Outcome::NotModified);
        assert_eq!(outcome("\"3-ab\"", "3-cd"), Outcome::Given);
        assert_eq!(outcome("\"3\"", "3-cd"), Outcome::Given);
    }
}
