//! Masks: the fields that an update changes, whichever way the request names them.
//!
//! It does not look at values: a field that is in the mask and not set is to be cleared.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{FieldMask, Value};

use crate::place::Place;
use crate::read::Field;
use crate::violations::{Violations, Wrong};

/// The fields that an update changes, by their proto names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask {
    fields: Vec<&'static str>,
}

/// A request that changes some fields of a resource.
pub trait Patch {
    /// The fields that it changes: those of its mask, or without one those that are present. A
    /// mask that names anything else is noted as `updateMask`.
    fn mask(&self, violations: &mut Violations) -> Mask;

    /// Takes out the fields that can be updated and that the mask does not name.
    fn keep_only(&mut self, mask: &Mask);
}

/// A request that changes fields of a resource that it names.
pub trait Merge: Patch {
    /// The resource.
    type Resource;

    /// Puts the fields that the mask names into the resource. One that the request leaves out is
    /// cleared.
    fn merge(&self, mask: &Mask, resource: &mut Self::Resource);
}

/// Puts the entries of a map that an update names into the resource's: null takes one out, and no entry
/// at all, which is what an update that clears the map has, takes out all.
pub fn merge_entries<K: Ord + Clone>(
    update: &BTreeMap<K, Value>,
    resource: &mut BTreeMap<K, Value>,
) {
    if update.is_empty() {
        resource.clear();
    }
    for (key, value) in update {
        match value.kind {
            None | Some(Kind::NullValue(_)) => resource.remove(key),
            Some(_) => resource.insert(key.clone(), value.clone()),
        };
    }
}

impl Mask {
    /// Returns true if the update changes the field with this proto name.
    pub fn has(&self, field: &str) -> bool {
        self.fields.contains(&field)
    }

    /// Returns true if it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The proto names of the fields that it changes, each once.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().copied()
    }

    /// The mask as a message, in the order of the names.
    pub fn to_message(&self) -> FieldMask {
        let mut paths: Vec<String> = self.iter().map(str::to_owned).collect();
        paths.sort_unstable();
        FieldMask { paths }
    }

    /// Makes the mask of the names in an explicit mask, of the fields that can be updated.
    pub fn explicit(
        mask: &FieldMask,
        fields: &'static [Field],
        violations: &mut Violations,
    ) -> Self {
        let mut named = Self::default();
        for path in &mask.paths {
            match fields.iter().find(|field| field.is_called(path)) {
                Some(field) if named.has(field.proto) => {}
                Some(field) => named.fields.push(field.proto),
                None => violations.note(&Place::ROOT.field("updateMask"), invalid(path, fields)),
            }
        }
        named
    }

    /// The fields that are present.
    pub fn present(fields: &[(&'static str, bool)]) -> Self {
        let present = fields.iter().filter(|(_, is_present)| *is_present);
        Self { fields: present.map(|(name, _)| *name).collect() }
    }
}

fn invalid(path: &str, fields: &[Field]) -> Wrong {
    let names: Vec<_> = fields.iter().map(|field| field.proto).collect();
    let named = Place::ROOT.field(path);
    let remedy = format!("cannot name {named}, only {}", names.join(", "));
    Wrong::new("INVALID_MASK", remedy)
}
