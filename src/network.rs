//! Networks of clients: the addresses that are taken for one client where something is counted for
//! each.

use std::net::{IpAddr, Ipv6Addr};

/// One address of IPv4, or the /64 of IPv6, which is what one client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(pub IpAddr);

impl Network {
    /// Stands for all networks beyond those that are told apart.
    pub const EVERYBODY_ELSE: Self = Self(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));

    /// The network of an address. IPv4 written as IPv6 is IPv4.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
            v4 => v4,
        })
    }
}
