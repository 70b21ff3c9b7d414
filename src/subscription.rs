//! Subscriptions: types of events, narrower topics, prefixes such as `ticket.*`, and `*`.

use std::sync::LazyLock;

use crate::event_type::EventType;

/// The text that stands for everything.
pub const EVERYTHING: &str = "*";

static ALL: LazyLock<Subscription> =
    LazyLock::new(|| Subscription { names: None, without: Vec::new() });

/// The set of topics to which somebody subscribes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The types and topics; none stands for all of them.
    names: Option<Vec<&'static str>>,
    /// The types that it does not include all the same.
    without: Vec<&'static str>,
}

impl Subscription {
    /// Returns the subscription of every event.
    pub fn everything() -> &'static Self {
        &ALL
    }

    /// The events of these types.
    pub fn of_types(types: &[EventType]) -> Self {
        Self { names: Some(types.iter().map(|one| one.name()).collect()), without: Vec::new() }
    }

    /// Parses the subscription of these texts together; none of them is everything. What is not
    /// known, such as what a later version has stored, subscribes to nothing.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Self {
        if texts.is_empty() || texts.iter().any(|text| text.as_ref() == EVERYTHING) {
            return Self { names: None, without: Vec::new() };
        }
        let mut names: Vec<_> = texts.iter().flat_map(|text| named(text.as_ref())).collect();
        names.sort_unstable();
        names.dedup();
        Self { names: Some(names), without: Vec::new() }
    }

    /// Parses the subscription of a webhook endpoint: of the types that come in masses only those
    /// that are named themselves.
    pub fn of_endpoint<T: AsRef<str>>(texts: &[T]) -> Self {
        let is_named = |name: &str| texts.iter().any(|text| text.as_ref() == name);
        let without = EventType::ALL.iter().filter(|one| one.is_only_by_name());
        let without = without.map(|one| one.name()).filter(|name| !is_named(name)).collect();
        Self { without, ..Self::parse(texts) }
    }

    /// Returns true if it includes an event with these topics, among which is its type.
    pub fn matches<T: AsRef<str>>(&self, topics: &[T]) -> bool {
        if topics.iter().any(|topic| self.without.contains(&topic.as_ref())) {
            return false;
        }
        let Some(names) = &self.names else { return true };
        topics.iter().any(|topic| names.contains(&topic.as_ref()))
    }

    /// The types that it does not want, although it may name them.
    pub fn without(&self) -> &[&'static str] {
        &self.without
    }

    /// The types and the topics that it names; none where it is everything.
    pub fn narrowed(&self) -> Option<(Vec<&'static str>, Vec<&'static str>)> {
        let is_type = |name: &&str| EventType::ALL.iter().any(|one| one.name() == *name);
        self.names.as_ref().map(|names| names.iter().copied().partition(is_type))
    }
}

/// Returns true if a text subscribes to anything.
pub fn is_known(text: &str) -> bool {
    text == EVERYTHING || named(text).next().is_some()
}

/// The types and topics that a text other than `*` stands for.
fn named(text: &str) -> impl Iterator<Item = &'static str> {
    let topics = EventType::ALL
        .iter()
        .flat_map(|one| std::iter::once(one.name()).chain(one.topics().iter().copied()));
    let prefix = text.strip_suffix('*').filter(|prefix| prefix.ends_with('.'));
    topics.filter(move |name| match prefix {
        Some(prefix) => name.starts_with(prefix),
        None => *name == text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_names_types_topics_and_prefixes() {
        let wants = |texts: &[&str], topics: &[&str]| Subscription::parse(texts).matches(topics);
        let resolved = ["ticket.updated", "ticket.status_changed", "ticket.resolved"];
        assert!(wants(&["*"], &resolved) && wants(&[], &resolved));
        assert!(wants(&["ticket.updated"], &resolved) && wants(&["ticket.resolved"], &resolved));
        assert!(
            wants(&["ticket.*"], &resolved) && wants(&["asset.*", "ticket.resolved"], &resolved)
        );
        assert!(!wants(&["ticket.closed"], &resolved) && !wants(&["kb.*"], &resolved));
        assert!(wants(&["ticket.comment.*"], &["ticket.comment.created"]));
        assert!(wants(&["kb.*"], &["kb.article.updated"]));
    }

    #[test]
    fn an_endpoint_gets_what_comes_in_masses_only_by_its_name() {
        let gets = |texts: &[&str]| Subscription::of_endpoint(texts).matches(&["ticket.imported"]);
        assert!(!gets(&["*"]) && !gets(&[]) && !gets(&["ticket.*"]) && !gets(&["user.imported"]));
        assert!(gets(&["ticket.imported"]) && gets(&["*", "ticket.imported"]));
        assert!(Subscription::of_endpoint(&["ticket.*"]).matches(&["ticket.created"]));
        assert!(Subscription::parse(&["ticket.*"]).matches(&["ticket.imported"]));
    }

    #[test]
    fn what_names_nothing_is_not_known() {
        for known in ["*", "ticket.*", "kb.*", "kb.article.*", "ticket.closed", "user.created"] {
            assert!(is_known(known), "{known}");
        }
        for unknown in
            ["", ".", ".*", "tick*", "ticket", "ticket.", "Ticket.*", "ticket.deleted", "**"]
        {
            assert!(!is_known(unknown), "{unknown}");
        }
    }
}
