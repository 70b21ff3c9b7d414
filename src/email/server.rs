//! The SMTP server: where it is, and how one gets in.

use std::net::IpAddr;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::{Host, Url};

/// The longest time until a server has answered at all.
const CONNECTED_WITHIN: Duration = Duration::from_secs(20);

const UNFIT: &str = "ORQIT_SMTP_URL must be smtps://user:password@host:465, or smtp://user:password@host:587?tls=required; user, password and port may be left out";

/// The point at which a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tls {
    FromTheStart,
    Required,
    IfOffered,
    Never,
}

/// The SMTP server and the login to it.
#[derive(Clone)]
pub struct Server {
    host: String,
    port: u16,
    tls: Tls,
    parameters: TlsParameters,
    credentials: Option<Credentials>,
}

impl Server {
    /// The server at a URL; `certificates` are PEM, and trusted beside those of public authorities. An
    /// error repeats nothing of the URL, which may hold a password.
    pub fn parse(text: &str, certificates: Option<&[u8]>) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| UNFIT)?;
        let host = url.host_str().ok_or(UNFIT)?.to_owned();
        let asked: Vec<_> = url.query_pairs().collect();
        let asked: Vec<_> =
            asked.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        let (tls, port) = match (url.scheme(), &asked[..]) {
            ("smtps", []) => (Tls::FromTheStart, 465),
            ("smtp", [("tls", "required")]) => (Tls::Required, 587),
            ("smtp", [("tls", "opportunistic")]) => (Tls::IfOffered, 587),
            ("smtp", []) => (Tls::Never, 25),
            _ => return Err(UNFIT.to_owned()),
        };
        let mut parameters = TlsParameters::builder(host.clone());
        if let Some(pem) = certificates {
            let unfit = || "ORQIT_SMTP_CA_FILE must have certificates (PEM)".to_owned();
            // lettre takes a file without any for right.
            CertificateDer::pem_slice_iter(pem).next().ok_or_else(unfit)?.map_err(|_| unfit())?;
            let certificates = Certificate::from_pem(pem).map_err(|_| unfit())?;
            parameters = parameters.add_root_certificate(certificates);
        }
        let parameters =
            parameters.build().map_err(|error| format!("cannot set up TLS for SMTP: {error}"))?;
        let credentials = credentials(&url)?;
        let is_safe = matches!(tls, Tls::FromTheStart | Tls::Required) || is_this_machine(&host);
        if credentials.is_some() && !is_safe {
            return Err("ORQIT_SMTP_URL has a password, which is sent over TLS alone: use smtps://, or smtp:// with ?tls=required".to_owned());
        }
        Ok(Self { host, port: url.port().unwrap_or(port), tls, parameters, credentials })
    }

    /// A connection on which e-mails may be handed over, in the name of `hello`.
    pub async fn connect(&self, hello: &str) -> Result<AsyncSmtpConnection, Error> {
        let hello = ClientId::Domain(hello.to_owned());
        let wrapper = (self.tls == Tls::FromTheStart).then(|| self.parameters.clone());
        let at = (self.host.trim_matches(['[', ']']), self.port);
        let within = Some(CONNECTED_WITHIN);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(at, within, &hello, wrapper, None).await?;
        let upgrades = match self.tls {
            Tls::Required => true,
            Tls::IfOffered => connection.can_starttls(),
            Tls::FromTheStart | Tls::Never => false,
        };
        if upgrades {
            connection.starttls(self.parameters.clone(), &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, tls, .. } = self;
        write!(f, "{host}:{port} ({tls:?})")
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, String> {
    let Some(password) = url.password() else { return Ok(None) };
    let decoded = |text| {
        percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| UNFIT.to_owned())
    };
    Ok(Some(Credentials::new(decoded(url.username())?, decoded(password)?)))
}

/// Returns true if the host is this machine.
fn is_this_machine(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost",
        Ok(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Ok(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Err(_) => false,
    }
}
