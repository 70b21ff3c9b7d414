//! An enum as its descriptor has it, with the steps between its values.

use prost_reflect::EnumDescriptor;

use crate::{names, options};

/// An enum.
pub struct Enum {
    /// The name within its package.
    pub name: String,
    pub prefix: String,
    /// The number and the short name of each value, by number, without zero.
    pub values: Vec<(i32, String)>,
    /// The numbers that may follow each, by number; empty where the values are no statuses.
    pub steps: Vec<(i32, Vec<i32>)>,
}

impl Enum {
    /// The enum that a descriptor describes; refused where a step leads nowhere.
    pub fn new(descriptor: &EnumDescriptor) -> Result<Self, String> {
        let prefix = names::enum_prefix(descriptor.name());
        let short = |name: &str| name.strip_prefix(&prefix).unwrap_or(name).to_owned();
        let values = descriptor.values().filter(|value| value.number() != 0);
        let mut values: Vec<_> =
            values.map(|value| (value.number(), short(value.name()))).collect();
        values.sort_by_key(|(number, _)| *number);
        let name = names::in_package(descriptor.full_name(), descriptor.package_name());
        let steps = steps(descriptor, &values)?;
        Ok(Self { name, prefix, values, steps })
    }
}

/// The steps that the values of an enum say, with the numbers of the names.
fn steps(
    descriptor: &EnumDescriptor,
    values: &[(i32, String)],
) -> Result<Vec<(i32, Vec<i32>)>, String> {
    let pool = descriptor.parent_pool();
    let mut steps = Vec::new();
    for value in descriptor.values() {
        let Some(to) = options::step(pool, &value.options()) else { continue };
        let number = |name: &String| {
            let found = values.iter().find(|(_, short)| short == name);
            found.map(|(number, _)| *number).ok_or_else(|| {
                format!("{} leads to {name}, which the enum does not have", value.name())
            })
        };
        steps.push((value.number(), to.iter().map(number).collect::<Result<_, _>>()?));
    }
    Ok(steps)
}
