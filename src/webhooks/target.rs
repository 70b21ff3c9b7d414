//! The target of an endpoint: the form of its URL, and the checks of its address before any
//! look-up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::address::Allowed;
use crate::error::{Error, Kind};

/// The URL of an endpoint, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The URL as it is asked for.
    pub uri: http::Uri,
    /// The host: a name, or an address.
    pub host: TargetHost,
}

/// The host of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetHost {
    /// A name, which is looked up at each attempt.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Target {
    /// The target of a URL. Refused is what is no URL, and what nothing may be sent to wherever its name
    /// leads. An address is read as browsers read it: `0x7f.1` and `2130706433` are 127.0.0.1.
    pub fn parse(text: &str, allowed: &Allowed) -> Result<Self, Error> {
        let malformed = |why: String| {
            let remedy = format!("url must be a URL such as https://desk.example/hooks: {why}");
            Error::invalid_field("url", "INVALID_FORMAT", remedy)
        };
        let url = Url::parse(text).map_err(|error| malformed(error.to_string()))?;
        let over_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(forbidden(format!(
                    "url must begin with https://, not with {other}://"
                )));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            let why = "url must have no user name and no password: events are signed instead";
            return Err(forbidden(why));
        }
        if url.fragment().is_some() {
            return Err(malformed("a fragment (#) is not sent to a server".to_owned()));
        }
        if url.port() == Some(0) {
            return Err(malformed("there is no port 0".to_owned()));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => TargetHost::Name(name.to_owned()),
            Some(Host::Ipv4(address)) => TargetHost::Address(address.into()),
            Some(Host::Ipv6(address)) => TargetHost::Address(address.into()),
            None => return Err(malformed("it has no host".to_owned())),
        };
        let uri = url.as_str().parse().map_err(|error| malformed(format!("{error}")))?;
        check(&host, over_tls, allowed)?;
        Ok(Self { uri, host })
    }

    /// Returns true if it is reached over TLS.
    pub fn is_over_tls(&self) -> bool {
        self.uri.scheme() == Some(&http::uri::Scheme::HTTPS)
    }
}

/// Refuses what can be refused without a look-up.
fn check(host: &TargetHost, over_tls: bool, allowed: &Allowed) -> Result<(), Error> {
    let known: Vec<IpAddr> = match host {
        TargetHost::Address(address) => vec![*address],
        // What these names are is agreed on, whatever a resolver says.
        TargetHost::Name(name) if is_local(name) => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        TargetHost::Name(_) if !over_tls && allowed.is_empty() => {
            return Err(forbidden(
                "url must begin with https://: http is for networks that the operator allows",
            ));
        }
        TargetHost::Name(_) => return Ok(()),
    };
    if known.iter().any(|address| allowed.permits(*address, over_tls)) {
        return Ok(());
    }
    let why = match over_tls {
        true => "url must lead to a public address: this one is private, local or reserved",
        false => "url must begin with https://: http is for networks that the operator allows",
    };
    Err(forbidden(why))
}

fn is_local(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

fn forbidden(why: impl Into<String>) -> Error {
    Error::field_of(Kind::WebhookUrlForbidden, "url", "FORBIDDEN", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str, allowed: &Allowed) -> &'static str {
        Target::parse(text, allowed).map_or_else(|error| error.code(), |_| "")
    }

    #[test]
    fn however_an_address_is_written_it_is_the_same_address() {
        let none = Allowed::default();
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f000001",
            "127.0.0.1.",
            "127。0。0。1",
            "１２７.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[fe80::1]",
            "[fd00::1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "0",
            "0.0.0.0",
            "[::]",
        ] {
            assert_eq!(
                code(&format!("https://{host}/x"), &none),
                "WEBHOOK_URL_FORBIDDEN",
                "{host}"
            );
        }
        for host in
            ["desk.example", "8.8.8.8", "desk.example:8443", "bücher.example", "[2606:4700::1111]"]
        {
            assert_eq!(code(&format!("https://{host}/x?y=1"), &none), "", "{host}");
        }
    }

    #[test]
    fn what_is_no_url_of_an_endpoint_is_refused() {
        let none = Allowed::default();
        for url in [
            "http://desk.example/",
            "ftp://desk.example/",
            "file:///etc/passwd",
            "https://me:secret@desk.example/",
            "https://me@desk.example/",
            "gopher://desk.example",
        ] {
            assert_eq!(code(url, &none), "WEBHOOK_URL_FORBIDDEN", "{url}");
        }
        for url in [
            "",
            "desk.example",
            "https://",
            "https://desk.example/#top",
            "https://[fe80::1%25eth0]/",
            "https://desk.example:0/",
            "https://a b/",
            "https://256.256.256.256/",
        ] {
            assert_eq!(code(url, &none), "VALIDATION_FAILED", "{url}");
        }
    }

    #[test]
    fn http_is_for_allowed_networks() {
        let allowed = Allowed::new(vec!["127.0.0.0/8".parse().expect("a network")]);
        for url in [
            "http://127.0.0.1:9000/",
            "https://127.0.0.1/",
            "http://localhost/",
            "http://desk.local/",
        ] {
            assert_eq!(code(url, &allowed), "", "{url}");
        }
        for url in ["http://10.0.0.1/", "http://8.8.8.8/", "https://10.0.0.1/", "http://[::1]/"] {
            assert_eq!(code(url, &allowed), "WEBHOOK_URL_FORBIDDEN", "{url}");
        }
    }
}
