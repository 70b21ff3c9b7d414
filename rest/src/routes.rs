//! The router: finds the binding that answers a method and a path.
//!
//! A trie over the raw path's segments, which are compared as they are: case, doubled and trailing
//! slashes matter, and an escaped letter is another letter. The path decides first (a literal
//! before `*`, that before `**`, and back to the next when one leads nowhere), then the method:
//! a path whose best fit lacks the method has no other.

use crate::binding::Binding;
use crate::template::{Segment, Template};

/// All routes of the service.
#[derive(Debug)]
pub struct Routes {
    root: Node,
    routes: Vec<(Template, Binding)>,
}

/// The match of a method and a path.
#[derive(Debug)]
pub enum Match<'r> {
    /// The binding, with the values of its template's variables.
    Found {
        /// The binding that answers.
        binding: &'r Binding,
        /// The decoded values, in the order of the template.
        captures: Vec<String>,
    },
    /// The path exists, but only for these methods.
    MethodNotAllowed {
        /// The value of the `Allow` header.
        allow: &'r str,
    },
    /// The path does not exist.
    NotFound,
    /// The path names a route, but a value in it has a bad percent escape or is not UTF-8.
    BadEscape,
}

#[derive(Debug, Default)]
struct Node {
    literals: Vec<(&'static str, Node)>,
    one: Option<Box<Node>>,
    rest: Option<Box<Node>>,
    /// The routes that end here, by verb; the empty verb is none.
    ends: Vec<(&'static str, End)>,
}

/// A path that exists.
#[derive(Debug, Default)]
struct End {
    /// The methods, each with the index of what answers it.
    methods: Vec<(&'static str, usize)>,
    allow: String,
}

impl Routes {
    /// Builds the trie; the error is a sentence that names both bindings of the same route.
    pub fn new(bindings: Vec<Binding>) -> Result<Self, String> {
        let mut routes = Self { root: Node::default(), routes: Vec::with_capacity(bindings.len()) };
        for binding in bindings {
            let template = Template::parse(binding.route.template)?;
            let end = routes.root.end(&template);
            let is_same = |(method, _): &&(&str, usize)| *method == binding.route.method;
            if let Some((_, other)) = end.methods.iter().find(is_same) {
                let other = &routes.routes[*other].1;
                return Err(format!("{binding:?} has the same route as {other:?}"));
            }
            end.methods.push((binding.route.method, routes.routes.len()));
            end.allow = allow(&end.methods);
            routes.routes.push((template, binding));
        }
        Ok(routes)
    }

    /// The binding of a request; HEAD goes where GET does. `path` is raw, without the query.
    pub fn find(&self, method: &str, path: &str) -> Match<'_> {
        let Some(end) = self.end(path) else { return Match::NotFound };
        let of_method = |wanted| end.methods.iter().find(|(method, _)| *method == wanted);
        let of_get = || of_method("GET").filter(|_| method == "HEAD");
        let Some((_, index)) = of_method(method).or_else(of_get) else {
            return Match::MethodNotAllowed { allow: &end.allow };
        };
        let (template, binding) = &self.routes[*index];
        match template.captures(path) {
            Ok(captures) => Match::Found { binding, captures },
            Err(_) => Match::BadEscape,
        }
    }

    /// The value of the `Allow` header, such as `GET, HEAD, OPTIONS`, if the path exists.
    pub fn allow(&self, path: &str) -> Option<&str> {
        self.end(path).map(|end| end.allow.as_str())
    }

    /// Returns all bindings, in the order given.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.routes.iter().map(|(_, binding)| binding)
    }

    fn end(&self, path: &str) -> Option<&End> {
        self.root.find(Some(path.strip_prefix('/')?))
    }
}

impl Node {
    /// The end of a template, made if it is not there.
    fn end(&mut self, template: &Template) -> &mut End {
        let mut node = self;
        for segment in &template.segments {
            node = match segment {
                Segment::Literal(literal) => node.literal(literal),
                Segment::One => node.one.get_or_insert_default(),
                Segment::Rest => node.rest.get_or_insert_default(),
            };
        }
        let known = node.ends.iter().position(|(verb, _)| *verb == template.verb);
        let index = known.unwrap_or_else(|| {
            node.ends.push((template.verb, End::default()));
            node.ends.len() - 1
        });
        &mut node.ends[index].1
    }

    fn literal(&mut self, literal: &'static str) -> &mut Node {
        let index = match self.literals.binary_search_by_key(&literal, |(known, _)| known) {
            Ok(index) => index,
            Err(index) => {
                self.literals.insert(index, (literal, Node::default()));
                index
            }
        };
        &mut self.literals[index].1
    }

    /// The end of the path of which `rest` is left; `None` when nothing is.
    fn find(&self, rest: Option<&str>) -> Option<&End> {
        let Some(rest) = rest else {
            return self.ending("").or_else(|| self.rest.as_ref()?.ending(""));
        };
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        let with_verb = || {
            let (bare, verb) = segment.rsplit_once(':').filter(|_| after.is_none())?;
            self.children(bare).find_map(|child| child.ending(verb).filter(|_| !verb.is_empty()))
        };
        with_verb()
            .or_else(|| self.children(segment).find_map(|child| child.find(after)))
            .or_else(|| self.rest.as_ref()?.ending_of_all(rest))
    }

    /// The nodes that a segment leads to, the best fit first.
    fn children(&self, segment: &str) -> impl Iterator<Item = &Node> {
        let literal = self.literals.binary_search_by_key(&segment, |(literal, _)| literal).ok();
        let one = self.one.as_deref().filter(|_| !segment.is_empty());
        literal.map(|index| &self.literals[index].1).into_iter().chain(one)
    }

    /// The end of `**`, which takes everything but empty segments.
    fn ending_of_all(&self, rest: &str) -> Option<&End> {
        let has_empty = rest.split('/').any(str::is_empty);
        let verb = rest.rsplit_once(':').map(|(_, verb)| verb).filter(|verb| !verb.is_empty());
        let end = verb.and_then(|verb| self.ending(verb)).or_else(|| self.ending(""));
        end.filter(|_| !has_empty)
    }

    fn ending(&self, verb: &str) -> Option<&End> {
        self.ends.iter().find(|(known, _)| *known == verb).map(|(_, end)| end)
    }
}

fn allow(methods: &[(&'static str, usize)]) -> String {
    let mut names: Vec<_> = methods.iter().map(|(method, _)| *method).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}
