//! Networks of clients: the addresses that are taken for one client where something is counted for
//! each.

use std::net::{IpAddr, Ipv6Addr};

/// The network of one client: an address of IPv4, or a /64 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(pub IpAddr);

impl Network {
    /// The network that stands for all networks beyond those that are told apart.
    pub const EVERYBODY_ELSE: Self = Self(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));

    /// The network of an address. IPv4 written as IPv6 is IPv4.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
            v4 => v4,
        })
    }
}
