//! The names of an enum's values, as JSON and parameters write them, and the steps between statuses.
//!
//! The zero value has no name here: it means that nothing was given.

use crate::violations::Wrong;

/// The names of an enum, written down by the generator.
#[derive(Debug)]
pub struct EnumNames {
    /// The prefix of the proto names, such as `TICKET_STATUS_`.
    pub prefix: &'static str,
    /// The number and the short name of each value, such as `(1, "OPEN")`, by ascending number;
    /// without the zero value.
    pub values: &'static [(i32, &'static str)],
}

impl EnumNames {
    /// The short name of `number`; `None` for zero and for numbers that the enum lacks.
    pub fn name(&self, number: i32) -> Option<&'static str> {
        // Most enums count 1, 2, 3: their names stand where their numbers say.
        let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let guess = at.and_then(|at| self.values.get(at));
        match guess {
            Some((found, name)) if *found == number => Some(name),
            _ => self.values.iter().find(|(found, _)| *found == number).map(|(_, name)| *name),
        }
    }

    /// The number of a short or full name.
    pub fn number(&self, name: &str) -> Option<i32> {
        let short = name.strip_prefix(self.prefix).unwrap_or(name);
        let named = |wanted: &str| self.values.iter().find(|(_, name)| *name == wanted);
        named(short).or_else(|| named(name)).map(|(number, _)| *number)
    }

    /// The number of a name that a caller sent, or what the names are.
    pub fn parse(&self, name: &str) -> Result<i32, Wrong> {
        self.number(name).ok_or_else(|| self.wrong())
    }

    /// Returns the violation of a value that this enum lacks.
    pub fn wrong(&self) -> Wrong {
        let names: Vec<_> = self.values.iter().map(|(_, name)| *name).collect();
        Wrong::new("INVALID_ENUM", format!("must be one of {}", names.join(", ")))
    }
}

/// An enum of statuses, with the steps between them as the `.proto` file declares them.
pub trait Steps {
    /// The names of the statuses.
    const NAMES: &'static EnumNames;
    /// The statuses, each with those that may follow it; one that is not here is final.
    const STEPS: &'static [(i32, &'static [i32])];

    /// The statuses that may follow this one.
    fn next(number: i32) -> &'static [i32] {
        let found = Self::STEPS.iter().find(|(from, _)| *from == number);
        found.map_or(&[], |(_, to)| to)
    }
}
