//! Looks whether a request names its host as HTTP/1.1 demands (RFC 9112 section 3.2). What is wrong is
//! noted here, where the request is still as it came, and refused by `resolve`.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Version};

use super::Request;

/// The fault of the host that a request names, as a request extension.
#[derive(Debug, Clone, Copy)]
pub struct BadHost(pub &'static str);

/// Notes a host that is missing, there twice, or none.
pub fn check(request: &mut Request) {
    let mut hosts = request.headers().get_all(HOST).iter();
    let wrong = match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => "Host is required",
        (Some(_), Some(_)) => "Host must be given only once",
        (Some(host), None) if !is_host(host) => "Host must be a host name with or without a port",
        _ => return,
    };
    request.extensions_mut().insert(BadHost(wrong));
}

/// A host and perhaps a port; nothing is what a request for no host has.
fn is_host(value: &HeaderValue) -> bool {
    if value.is_empty() {
        return true;
    }
    let Ok(authority) = Authority::try_from(value.as_bytes()) else { return false };
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or("@");
    let digits = port.strip_prefix(':').unwrap_or(port);
    !authority.as_str().contains('@') && (digits.is_empty() || digits.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        let is_host = |text: &'static str| is_host(&HeaderValue::from_static(text));
        for host in ["", "x", "api.example:8080", "127.0.0.1", "[::1]:8080", "x:"] {
            assert!(is_host(host), "{host}");
        }
        for host in ["a b", "x/y", "me@x", "x:99999", "x:y", "x:1:2", "[::1", "x?y", "http://x"] {
            assert!(!is_host(host), "{host}");
        }
    }
}
