//! The addresses to which events may be sent: public ones, and those of networks that the operator
//! allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The networks of IPv4 that are not public, from IANA's registry of special-purpose addresses,
/// with multicast and what is reserved.
const PRIVATE_V4: [([u8; 4], u8); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
    // In the cloud of Azure what 169.254.169.254 is elsewhere.
    ([168, 63, 129, 16], 32),
];

/// The one network of IPv6 that is public.
const GLOBAL_V6: ([u16; 8], u8) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The networks of IPv6 that are not public: special purposes with Teredo, documentation, 6to4.
const PRIVATE_V6: [([u16; 8], u8); 4] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// The networks that the operator allows beside the public ones.
#[derive(Debug, Clone, Default)]
pub struct Allowed(Vec<IpNet>);

impl Allowed {
    /// Allows these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if an address is in one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns true if an address may be sent to: over TLS a public one too.
    pub fn permits(&self, address: IpAddr, over_tls: bool) -> bool {
        self.has(address) || (over_tls && is_public(address))
    }
}

/// Returns true if an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !PRIVATE_V4.iter().any(|(network, prefix)| {
        Ipv4Net::new_assert(Ipv4Addr::from(*network), *prefix).contains(&address)
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let within = |(network, prefix): &([u16; 8], u8)| {
        Ipv6Net::new_assert(Ipv6Addr::from(*network), *prefix).contains(&address)
    };
    // ISATAP puts an address of IPv4 behind these bits, below any prefix.
    let isatap = matches!(address.segments()[4..6], [0 | 0x200, 0x5efe]);
    within(&GLOBAL_V6) && !PRIVATE_V6.iter().any(within) && !isatap
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:808:808::1",
            "2a00:1450::5efe:7f00:1",
            "2a00:1450::200:5efe:a00:1",
            "3fff::1",
            "5f00::1",
            "4000::1",
        ] {
            assert!(!is_public(text.parse().expect("an address")), "{text}");
        }
        for text in
            ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]
        {
            assert!(is_public(text.parse().expect("an address")), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_address_of_ipv6_that_stands_for_one_of_ipv4_is_public(v4: u32, low: u64, subnet: u16) {
            let [a, b, c, d] = Ipv4Addr::from(v4).octets();
            let (high_half, low_half) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let mapped = Ipv4Addr::from(v4).to_ipv6_mapped();
            let compatible = Ipv6Addr::new(0, 0, 0, 0, 0, 0, high_half, low_half);
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high_half, low_half);
            let local = Ipv6Addr::new(0x64, 0xff9b, 1, subnet, 0, 0, high_half, low_half);
            let six_to_four = (0x2002_u128 << 112) | (u128::from(v4) << 80) | u128::from(low);
            let teredo = (0x2001_u128 << 112) | (u128::from(v4) << 64) | u128::from(low);
            let isatap = Ipv6Addr::new(0x2a00, subnet, 0, 0, 0, 0x5efe, high_half, low_half);
            for v6 in [mapped, compatible, nat64, local, six_to_four.into(), teredo.into(), isatap] {
                prop_assert!(!is_public(v6.into()), "{}", v6);
            }
        }

        #[test]
        fn what_is_public_is_what_no_registry_reserves(v4: u32) {
            let it = Ipv4Addr::from(v4);
            let reserved = it.is_private() || it.is_loopback() || it.is_link_local()
                || it.is_broadcast() || it.is_documentation() || it.is_unspecified()
                || it.is_multicast() || it.octets()[0] == 0 || it.octets()[0] >= 240;
            if reserved {
                prop_assert!(!is_public(it.into()), "{}", it);
            }
        }

        #[test]
        fn an_allowed_network_is_allowed_and_nothing_beside_it(v4: u32, prefix in 8_u8..=32) {
            let network = Ipv4Net::new(Ipv4Addr::new(10, 20, 30, 40), prefix).expect("a network");
            let allowed = Allowed::new(vec![IpNet::V4(network)]);
            let it = IpAddr::V4(Ipv4Addr::from(v4));
            prop_assert_eq!(allowed.permits(it, false), IpNet::V4(network).contains(&it));
            prop_assert_eq!(allowed.permits(it, true), is_public(it) || allowed.has(it));
        }
    }
}
