//! The enums of tickets, numbered as in the database and in the protobuf enums.
//!
//! Which of them may follow which is for the service to know.

use crate::store::stored_enum::stored_enum;

stored_enum! {
    /// The status of a ticket.
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

stored_enum! {
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

stored_enum! {
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

stored_enum! {
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

stored_enum! {
    /// The share of the business that is affected.
    Impact {
        /// One person.
        Low = 1,
        /// A group.
        Medium = 2,
        /// Everybody.
        High = 3,
    }
}

stored_enum! {
    /// The time within which the effect is felt.
    Urgency {
        /// It can wait.
        Low = 1,
        /// It should be soon.
        Medium = 2,
        /// It must be now.
        High = 3,
    }
}

stored_enum! {
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
