//! The settings of e-mail: the SMTP server, and in whose name it is given what it sends.

use std::path::PathBuf;

use clap::Args;

use crate::email;

/// The settings of e-mail.
#[derive(Debug, Clone, Args)]
pub struct EmailArgs {
    /// The SMTP server: `smtps://user:password@host:465` for TLS from the start, or
    /// `smtp://user:password@host:587?tls=required` for STARTTLS; user and password may be left out. Without
    /// one e-mails are held until there is one. Not checked by clap, which would repeat it.
    #[arg(long, env = "ORQIT_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
    /// The address that e-mails come from, such as `Service desk <desk@example.com>`.
    #[arg(long, env = "ORQIT_SMTP_FROM")]
    pub smtp_from: Option<String>,
    /// A file with certificates (PEM) that the SMTP server may show beside those of public authorities.
    #[arg(long, env = "ORQIT_SMTP_CA_FILE")]
    pub smtp_ca_file: Option<PathBuf>,
}

impl EmailArgs {
    /// The settings of what sends; none without an SMTP server.
    pub fn settings(&self) -> Result<Option<email::Settings>, String> {
        let Some(url) = self.smtp_url.as_deref().filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        let from = self.smtp_from.as_deref().ok_or(
            "ORQIT_SMTP_FROM is needed beside ORQIT_SMTP_URL: the address that e-mails come from",
        )?;
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        let certificates = self.smtp_ca_file.as_ref().map(read).transpose()?;
        email::Settings::new(url, from, certificates.as_deref()).map(Some)
    }
}
