//! A JSON array of objects, read object by object.

use std::cell::Cell;
use std::io::{self, Read};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Counted, RECORD_BYTES_MAX, Record, Stop, Take, told};

/// An object that names no member twice.
pub struct Members(pub Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object in braces")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.contains_key(&name) {
                        let twice = format!("the member `{name}` is given twice");
                        return Err(serde::de::Error::custom(twice));
                    }
                    members.insert(name, value);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Once)
    }
}

/// Reads a JSON array of objects, one after the other.
pub fn read(text: &mut Counted, take: &mut Take<'_>) -> Result<(), Stop> {
    struct Each<'a, 't> {
        line: &'a Cell<u64>,
        renew: &'a dyn Fn(),
        take: &'a mut Take<'t>,
        refused: &'a mut Option<String>,
    }
    impl<'de> Visitor<'de> for Each<'_, '_> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array of objects")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            loop {
                (self.renew)();
                let Some(members) = seq.next_element::<Members>()? else { return Ok(()) };
                let record = Record { line: self.line.get(), members: Ok(members.0) };
                if let Err(sentence) = (self.take)(record) {
                    *self.refused = Some(sentence);
                    return Err(serde::de::Error::custom("stopped"));
                }
            }
        }
    }
    let line = Cell::new(text.line);
    let left = Cell::new(RECORD_BYTES_MAX);
    let renew = || left.set(RECORD_BYTES_MAX);
    let reader = Shared { text, line: &line, left: &left };
    let mut refused = None;
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let each = Each { line: &line, renew: &renew, take, refused: &mut refused };
    let read = deserializer.deserialize_seq(each).and_then(|()| deserializer.end());
    match (read, refused) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(sentence)) => Err(Stop::Taker(sentence)),
        (Err(error), None) if error.is_io() => Err(Stop::Io(line.get(), error.into())),
        (Err(error), None) => Err(Stop::File(line.get(), told(&error, false))),
    }
}

/// A reader whose place and bound are seen from outside while it is read.
struct Shared<'a> {
    text: &'a mut Counted,
    line: &'a Cell<u64>,
    left: &'a Cell<usize>,
}

impl Read for Shared<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.text.left = self.left.get();
        let read = self.text.read(buffer)?;
        self.left.set(self.text.left);
        self.line.set(self.text.line);
        Ok(read)
    }
}
