//! What a ticket can be, numbered as in the database and in the protobuf enums.
//!
//! Which of them may follow which is for the service to know.

/// Defines an enum whose numbers are stored. A number, once given, keeps its meaning.
macro_rules! numbered {
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

            /// Its number.
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
    };
}

numbered! {
    /// Where a ticket stands in its life.
    Status {
        /// Nobody has begun.
        Open = 1,
        /// Somebody works on it.
        InProgress = 2,
        /// It waits for something.
        Pending = 3,
        /// The work is done.
        Resolved = 4,
        /// It is over.
        Closed = 5,
        /// It was given up.
        Cancelled = 6,
    }
}

numbered! {
    /// The order in which work is taken up; its number is its rank.
    Priority {
        /// Can wait.
        Low = 1,
        /// The usual.
        Medium = 2,
        /// Before the usual.
        High = 3,
        /// Before everything else.
        Critical = 4,
    }
}

numbered! {
    /// The ITIL practice that a ticket belongs to.
    TicketType {
        /// Something is broken for somebody.
        Incident = 1,
        /// The cause behind incidents.
        Problem = 2,
        /// A change to what is in service.
        Change = 3,
        /// A request for something that is on offer.
        ServiceRequest = 4,
    }
}

numbered! {
    /// The kind of thing that a ticket is about.
    Category {
        /// Software.
        Software = 1,
        /// Hardware.
        Hardware = 2,
        /// Network.
        Network = 3,
        /// Accounts and permissions.
        Access = 4,
        /// E-mail.
        Email = 5,
        /// Anything else.
        Other = 6,
    }
}

numbered! {
    /// How much of the business is affected.
    Impact {
        /// One person.
        Low = 1,
        /// A group.
        Medium = 2,
        /// Everybody.
        High = 3,
    }
}

numbered! {
    /// How soon the effect is felt.
    Urgency {
        /// It can wait.
        Low = 1,
        /// It should be soon.
        Medium = 2,
        /// It must be now.
        High = 3,
    }
}

numbered! {
    /// The way that a ticket came in.
    Source {
        /// The API.
        Api = 1,
        /// E-mail.
        Email = 2,
        /// A self-service portal.
        Portal = 3,
        /// A call.
        Phone = 4,
        /// A chat.
        Chat = 5,
        /// A monitoring system.
        Monitoring = 6,
        /// Any other way.
        Other = 7,
    }
}
