//! Enums that are stored as numbers.

/// Defines an enum whose numbers are stored. A number, once given, keeps its meaning.
macro_rules! stored_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $number,)+
        }

        impl $name {
            /// All of them, by number.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Returns the number.
            pub const fn as_i16(self) -> i16 {
                self as i16
            }

            /// The one with this number.
            pub const fn from_i16(number: i16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl $crate::store::nouns::Stored for $name {
            type Column = i16;

            fn to_column(&self) -> i16 {
                self.as_i16()
            }

            fn from_column(column: i16, name: &str) -> Result<Self, $crate::error::Error> {
                let known = Self::from_i16(column);
                known.ok_or_else(|| $crate::store::unknown_number(name, column))
            }
        }
    };
}

pub(super) use stored_enum;
