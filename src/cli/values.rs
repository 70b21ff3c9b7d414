//! Parsers of settings for clap: durations, networks, URLs.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;

/// Reads `500ms`, `30s`, `15m`, `12h` or `30d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let remedy =
        || format!("`{text}` is not a duration: write a number and ms, s, m, h or d, such as 30s");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(remedy)?;
    let (digits, unit) = text.split_at(unit_at);
    let count: u64 = digits.parse().map_err(|_| remedy())?;
    let unit_millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => 24 * 3600 * 1000,
        _ => return Err(remedy()),
    };
    count.checked_mul(unit_millis).map(Duration::from_millis).ok_or_else(remedy)
}

/// A timeout: 1 ms to an hour.
pub fn bounded_duration(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    let bounds = Duration::from_millis(1)..=Duration::from_secs(3600);
    if bounds.contains(&duration) {
        Ok(duration)
    } else {
        Err("a timeout must be 1ms to 1h".to_owned())
    }
}

/// Parses a retention: 1 hour to 3650 days.
pub fn retention(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    let bounds = Duration::from_secs(3600)..=Duration::from_secs(3650 * 24 * 3600);
    if bounds.contains(&duration) {
        Ok(duration)
    } else {
        Err("it must be kept for 1h to 3650d".to_owned())
    }
}

/// The URL of a database that can be kept.
pub fn database_url(text: &str) -> Result<String, String> {
    let schemes = ["sqlite:", "postgres://", "postgresql://"];
    let known = schemes.iter().any(|scheme| text.starts_with(scheme));
    // Every connection to memory has a database of its own: what one writes no other would see.
    let in_memory = text.contains(":memory:") || text.contains("mode=memory");
    let remedy = "a database is sqlite://file.db or postgres://user:password@host/name; it is not kept in memory";
    if known && !in_memory { Ok(text.to_owned()) } else { Err(remedy.to_owned()) }
}

/// Parses a network; an address is the network of itself.
pub fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let address = || text.parse().map(|address: IpAddr| IpNet::from(address.to_canonical()));
    let network = text.parse().or_else(|_| address()).map_err(|_| {
        format!(
            "`{text}` is not a network: write an address, or one with a prefix such as 10.0.0.0/8"
        )
    })?;
    match network {
        // Clients are compared as IPv4, whichever way they came: this would match none.
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
            Err(format!("`{text}` is IPv4 written as IPv6: write it as IPv4"))
        }
        network => Ok(network),
    }
}

/// A URL that clients reach the service by.
pub fn public_url(text: &str) -> Result<String, String> {
    origin(text).map(|_| text.to_owned()).map_err(|_| {
        "a URL of the service is a scheme and a host, such as https://desk.example".to_owned()
    })
}

/// Parses an origin of web pages, as a header has it.
pub fn origin(text: &str) -> Result<HeaderValue, String> {
    let remedy = "an origin is a scheme and a host, such as https://app.example";
    let uri: http::Uri = text.parse().map_err(|_| remedy.to_owned())?;
    let bare = !text.ends_with('/') && uri.path_and_query().is_none_or(|rest| rest == "/");
    if uri.scheme().is_none() || uri.host().is_none() || !bare {
        return Err(remedy.to_owned());
    }
    HeaderValue::from_str(text).map_err(|_| remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 24 * 3600)));
        for wrong in
            ["", "30", "s", "-1s", "1.5s", "1w", "99999999999999999999s", "99999999999999999d"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(bounded_duration("0s").is_err());
        assert!(bounded_duration("2h").is_err());
        for (right, wrong) in [("1h", "59m"), ("3650d", "3651d")] {
            assert!(retention(right).is_ok() && retention(wrong).is_err(), "{right} {wrong}");
        }
    }

    #[test]
    fn a_database_is_a_file_or_a_server() {
        for right in ["sqlite://orqit.db", "sqlite:orqit.db", "postgres://me@host/orqit"] {
            assert!(database_url(right).is_ok(), "{right}");
        }
        for wrong in ["orqit.db", "mysql://host/orqit", "sqlite::memory:", "sqlite://?mode=memory"]
        {
            assert!(database_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
        ] {
            assert_eq!(network(text).map(|network| network.to_string()), Ok(expected.to_owned()));
        }
        for wrong in ["", "10.0.0.0/33", "proxy.example", "10.0.0.1:80", "::ffff:10.0.0.0/104"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        assert!(origin("https://app.example").is_ok());
        assert!(origin("http://localhost:5173").is_ok());
        for wrong in ["*", "app.example", "https://app.example/", "https://app.example/path"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
