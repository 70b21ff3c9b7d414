//! Preconditions of a request (RFC 9110 section 13): the versions of a resource for which it is meant.
//!
//! An entity tag is the version of the resource, and where the answer shows figures that change
//! without a version, a digest of the answer behind a hyphen.

use std::sync::Arc;

use rest::Violations;

use crate::error::{Error, Kind};

/// The preconditions of a request, as its headers have them.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    /// The tags of which it must have one.
    pub if_match: Option<Tags>,
    /// The tags of which it must have none.
    pub if_none_match: Option<Tags>,
    /// True if a digest may follow the version.
    pub has_figures: bool,
    /// The violations of the headers' syntax.
    pub violations: Violations,
    /// The lines themselves: the same request under another condition is another one.
    pub lines: Vec<Vec<u8>>,
}

/// The versions of a resource for which a change is meant, by headers or by the message. Without a
/// word about it, a change is meant for every version.
#[derive(Debug, Clone, Default)]
pub struct Precondition {
    conditions: Arc<Preconditions>,
    version: Option<i64>,
}

impl Precondition {
    /// Makes the precondition of a request from its headers and its message.
    pub fn new(conditions: Arc<Preconditions>, version: Option<i64>) -> Self {
        Self { conditions, version }
    }

    /// Makes the precondition of an item among others, which has no headers.
    pub fn of_version(version: Option<i64>) -> Self {
        Self { version, ..Self::default() }
    }

    /// Refuses a change of a resource that is at another version.
    pub fn hold(&self, at: i64) -> Result<(), Error> {
        self.conditions.hold(at, self.version)
    }
}

/// The tags of a condition.
#[derive(Debug, Clone)]
pub enum Tags {
    /// Any version of a resource that exists.
    Any,
    /// These versions.
    OneOf(Vec<Tag>),
}

/// An entity tag.
#[derive(Debug, Clone)]
pub struct Tag {
    /// True if the tag is weak: it compares meaning, not bytes.
    pub is_weak: bool,
    /// The text between the quotes.
    pub opaque: String,
}

/// The effect of a condition on an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is sent.
    Given,
    /// The client has it already.
    NotModified,
}

impl Preconditions {
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

    /// Decides about the answer to a read, whose entity tag is this without its quotes.
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

    /// Returns true if the tags name this version; weak ones count only where they may.
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
