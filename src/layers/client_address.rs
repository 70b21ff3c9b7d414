//! Finds out where a request comes from when proxies stand in between.
//!
//! Every proxy adds the address that it was called from to the right end of `X-Forwarded-For`; what
//! stands further left is whatever the client wrote. So the header is read from the right, and only
//! as far as each address is one of a proxy that the operator trusts.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use ipnet::IpNet;

use crate::config::FORWARDED_HOPS_MAX;

/// The address of the client: of `peer` itself, unless it is a trusted proxy. Then it is the last
/// address of the lines of `X-Forwarded-For` that is no trusted proxy's; what cannot be read ends
/// the search at the address before it. IPv4 written as IPv6 is IPv4.
pub fn client_address<'h>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'h HeaderValue>,
    trusted: &[IpNet],
) -> IpAddr {
    let lines = forwarded.rev().map(|line| line.to_str().unwrap_or_default());
    let mut hops = lines.flat_map(|line| line.rsplit(',')).take(FORWARDED_HOPS_MAX);
    let mut client = peer.to_canonical();
    while trusted.iter().any(|proxies| proxies.contains(&client)) {
        let Some(hop) = hops.next().and_then(parse) else { break };
        client = hop;
    }
    client
}

/// An address, with or without brackets and port.
fn parse(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim_matches([' ', '\t']);
    let with_port = || hop.parse().map(|address: SocketAddr| address.ip()).ok();
    let in_brackets = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().map(IpAddr::V6).ok();
    let address = hop.parse().ok().or_else(with_port).or_else(in_brackets);
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    /// The client behind `peer`, with 10.0.0.0/8 and 2001:db8::/32 trusted.
    fn client(peer: &str, lines: &[&str]) -> String {
        let lines: Vec<_> =
            lines.iter().map(|line| HeaderValue::from_str(line).expect("a value")).collect();
        let trusted =
            ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().expect("a network"));
        let peer = peer.parse().expect("an address");
        client_address(peer, lines.iter(), &trusted).to_string()
    }

    #[test]
    fn who_is_not_trusted_is_the_client_whatever_it_says() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("192.0.2.1", &["10.0.0.1", "10.0.0.2"]), "192.0.2.1");
        assert_eq!(client("::ffff:192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("2001:db8::1", &["2001:470::9"]), "2001:470::9");
        // Nobody was named.
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        // Within the operator's own networks: as far as it goes.
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn what_the_client_wrote_itself_is_passed_by() {
        assert_eq!(client("10.0.0.1", &["203.0.113.5, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["10.9.9.9, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(
            client("10.0.0.1", &["203.0.113.5", "198.51.100.7", "10.0.0.2"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn an_address_may_have_brackets_and_a_port() {
        for (written, meant) in [
            ("198.51.100.7:5123", "198.51.100.7"),
            ("[2001:470::9]", "2001:470::9"),
            ("[2001:470::9]:443", "2001:470::9"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("[::ffff:198.51.100.7]:80", "198.51.100.7"),
            ("\t198.51.100.7 ", "198.51.100.7"),
        ] {
            assert_eq!(client("10.0.0.1", &[written]), meant, "{written}");
        }
    }

    #[test]
    fn what_cannot_be_read_ends_the_search_at_the_address_before_it() {
        for wrong in ["", "unknown", "_hidden", "198.51.100.7:", "198.51.100.300", "[198.51.100.7]"]
        {
            let line = format!("203.0.113.5, {wrong}, 10.0.0.2");
            assert_eq!(client("10.0.0.1", &[&line]), "10.0.0.2", "{wrong}");
        }
        assert_eq!(client("10.0.0.1", &["203.0.113.5", "é", "10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn a_long_header_is_read_to_its_bound() {
        let line = "10.0.0.2, ".repeat(FORWARDED_HOPS_MAX);
        assert_eq!(client("10.0.0.1", &[&format!("198.51.100.7, {line}10.0.0.3")]), "10.0.0.2");
        let line = "10.0.0.2, ".repeat(FORWARDED_HOPS_MAX - 2);
        assert_eq!(client("10.0.0.1", &[&format!("198.51.100.7, {line}10.0.0.3")]), "198.51.100.7");
    }

    proptest! {
        #[test]
        fn the_client_is_the_last_address_that_no_proxy_has(
            said in prop::collection::vec("[ -~]{0,20}", 0..4),
            client_bits in any::<u32>(),
            proxies in prop::collection::vec(any::<[u8; 3]>(), 1..5),
        ) {
            let address = Ipv4Addr::from(client_bits);
            prop_assume!(address.octets()[0] != 10);
            let proxies: Vec<_> =
                proxies.iter().map(|[a, b, c]| Ipv4Addr::new(10, *a, *b, *c).to_string()).collect();
            let (peer, between) = proxies.split_last().expect("one at least");
            let between = between.iter().cloned();
            let hops = said.into_iter().chain([address.to_string()]).chain(between);
            let line = hops.collect::<Vec<_>>().join(",");
            prop_assert_eq!(client(peer, &[&line]), address.to_string());
        }

        #[test]
        fn whatever_is_said_who_is_not_trusted_stays_who_it_is(said in "[ -~]{0,80}") {
            prop_assert_eq!(client("192.0.2.1", &[&said]), "192.0.2.1");
        }
    }
}
