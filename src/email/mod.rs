//! The sending of e-mail: `sender` makes an attempt over a connection to the `server`, `message`
//! writes the message, and `address` parses addresses.

pub mod address;
mod message;
mod sender;
mod server;

use lettre::message::Mailbox;

use server::Server;

pub use sender::Sender;

/// The settings of the SMTP server and the sender's address.
#[derive(Debug, Clone)]
pub struct Settings {
    server: Server,
    from: Mailbox,
}

impl Settings {
    /// Makes the settings of the SMTP server at `url`, in the name of `from`, such as `Service desk
    /// <desk@example.com>`; `certificates` are PEM, and trusted beside those of public authorities.
    /// An error says what is wrong, and repeats nothing of the URL, which may hold a password.
    pub fn new(url: &str, from: &str, certificates: Option<&[u8]>) -> Result<Self, String> {
        let server = Server::parse(url, certificates)?;
        let from = from.parse().map_err(|_| {
            "ORQIT_SMTP_FROM must be an address, such as Service desk <desk@example.com>".to_owned()
        })?;
        Ok(Self { server, from })
    }

    /// Makes the sender of these settings.
    pub fn sender(&self) -> Sender {
        Sender::new(self.server.clone(), self.from.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "Desk <desk@example.com>";

    #[test]
    fn a_server_is_reached_by_tls_or_starttls_or_on_this_machine() {
        for url in [
            "smtps://me:secret@mail.example.com",
            "smtp://me:secret@mail.example.com:587?tls=required",
            "smtp://mail.example.com:25?tls=opportunistic",
            "smtp://mail.example.com",
            "smtp://me:secret@127.0.0.1:2525",
            "smtp://me:secret@[::1]:2525",
        ] {
            assert!(Settings::new(url, FROM, None).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in [
            "secret",
            "https://me:secret@mail.example.com",
            "smtp://me:secret@mail.example.com?tls=secret",
            "smtp://me:secret@mail.example.com",
            "smtp://me:secret@mail.example.com?tls=opportunistic",
            "smtps://me:secret@mail.example.com?tls=required",
            "smtps:secret",
        ] {
            let error = Settings::new(url, FROM, None).expect_err(url);
            assert!(error.contains("ORQIT_SMTP_URL") && !error.contains("secret"), "{error}");
        }
        let url = "smtp://127.0.0.1";
        assert!(Settings::new(url, "nobody", None).expect_err("no address").contains("SMTP_FROM"));
        let error = Settings::new(url, FROM, Some(b"nothing")).expect_err("no certificates");
        assert!(error.contains("ORQIT_SMTP_CA_FILE"), "{error}");
    }
}
