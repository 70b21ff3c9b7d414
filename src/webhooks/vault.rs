//! Keeps the secrets of endpoints: encrypted at rest by ChaCha20-Poly1305, bound to where they belong.
//!
//! A master key is 32 bytes. Of several the first seals and all open, so that a new one can take the
//! place of an old one while the service runs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::TryRngCore;
use rand::rngs::OsRng;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};

use crate::error::{Error, Kind};
use crate::store::Store;

const KEY_BYTES: usize = 32;
/// The context and the text that are sealed to tell whether a key is the right one.
const CHECK: (&str, &[u8]) = ("master key check", b"orqit");

/// The master keys; without any nothing is sealed or opened.
#[derive(Default)]
pub struct Vault {
    keys: Vec<MasterKey>,
}

struct MasterKey {
    /// Tells which key has sealed something.
    id: String,
    key: LessSafeKey,
}

impl Vault {
    /// The keys in a text: each the base64 of 32 bytes, with commas between them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keys = text.split(',').map(|part| MasterKey::parse(part.trim()));
        Ok(Self { keys: keys.collect::<Result<_, _>>()? })
    }

    /// A new key, as it is written into a setting.
    pub fn generate() -> String {
        BASE64.encode(random::<KEY_BYTES>())
    }

    /// Returns true if there is a key.
    pub fn is_open(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Seals a text that belongs to `context`: it cannot be opened in any other.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<String, Error> {
        let MasterKey { id, key } = self.keys.first().ok_or_else(closed)?;
        let nonce = random::<NONCE_LEN>();
        let mut sealed = plain.to_vec();
        let aad = Aad::from(context.as_bytes());
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| Error::internal("a secret could not be sealed"))?;
        let text = BASE64.encode([nonce.as_slice(), &sealed].concat());
        Ok(format!("{id}.{text}"))
    }

    /// Opens what [`Vault::seal`] has made.
    pub fn open(&self, context: &str, sealed: &str) -> Result<Vec<u8>, Error> {
        if !self.is_open() {
            return Err(closed());
        }
        let broken = || Error::internal("a sealed secret cannot be read");
        let (id, text) = sealed.split_once('.').ok_or_else(broken)?;
        let bytes = BASE64.decode(text).map_err(Error::internal)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
        for MasterKey { key, .. } in self.keys.iter().filter(|key| key.id == id) {
            let mut sealed = sealed.to_vec();
            let aad = Aad::from(context.as_bytes());
            if let Ok(plain) =
                key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut sealed)
            {
                return Ok(plain.to_vec());
            }
        }
        Err(Error::internal(
            "a secret was sealed by a master key that is not among those of ORQIT_MASTER_KEY",
        ))
    }

    /// Returns true if the first key has sealed this.
    pub fn is_current(&self, sealed: &str) -> bool {
        let first = self.keys.first().map(|key| key.id.as_str());
        sealed.split_once('.').is_some_and(|(id, _)| Some(id) == first)
    }

    /// Compares the keys with those that the database was used with, and notes the first one in a
    /// database that was used with none.
    pub async fn check(&self, store: &Store) -> Result<(), String> {
        if !self.is_open() {
            return Ok(());
        }
        let failed = |error: Error| format!("cannot check the master key: {error}");
        let mut noted = store.master_key_check().await.map_err(failed)?;
        if noted.is_none() {
            let sealed = self.seal(CHECK.0, CHECK.1).map_err(failed)?;
            store.set_master_key_check(&sealed, None).await.map_err(failed)?;
            noted = store.master_key_check().await.map_err(failed)?;
        }
        let opens = noted
            .as_ref()
            .is_some_and(|sealed| self.open(CHECK.0, sealed).is_ok_and(|plain| plain == CHECK.1));
        // A file that was copied without its key, and has no secrets, has nothing to lose.
        if !opens && !store.is_shared() && !store.has_webhooks().await.map_err(failed)? {
            let sealed = self.seal(CHECK.0, CHECK.1).map_err(failed)?;
            let replaced = store.set_master_key_check(&sealed, noted.as_deref()).await;
            return replaced.map(|_| ()).map_err(failed);
        }
        match opens {
            true => Ok(()),
            false => Err(
                "ORQIT_MASTER_KEY is not the key that this database's secrets are encrypted by: set that one, or both with a comma between them; on SQLite without the setting, put the file .master-key back beside the database"
                    .to_owned(),
            ),
        }
    }

    /// Notes the first key in the place of the one that the database knows.
    pub async fn note_current(&self, store: &Store) -> Result<(), Error> {
        let Some(noted) = store.master_key_check().await? else { return Ok(()) };
        if !self.is_current(&noted) {
            let sealed = self.seal(CHECK.0, CHECK.1)?;
            store.set_master_key_check(&sealed, Some(&noted)).await?;
        }
        Ok(())
    }
}

impl MasterKey {
    fn parse(text: &str) -> Result<Self, String> {
        let remedy = || {
            "ORQIT_MASTER_KEY must be the base64 of 32 bytes, or several with commas between them; make one by `openssl rand -base64 32`".to_owned()
        };
        let bytes = BASE64.decode(text).map_err(|_| remedy())?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| remedy())?;
        let digest = Sha256::digest([b"orqit master key ".as_slice(), &bytes].concat());
        let id = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, key: LessSafeKey::new(key) })
    }
}

/// Returns random bytes from the operating system's seeded generator.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).expect("the operating system has randomness");
    bytes
}

fn closed() -> Error {
    let kind = Kind::ServiceUnavailable { retry_after_secs: 60 };
    let message = "The service has no master key, so secrets of webhooks can be neither made nor used. The operator has to set ORQIT_MASTER_KEY.";
    Error::new(kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(keys: &[&str]) -> Vault {
        Vault::parse(&keys.join(",")).expect("keys")
    }

    #[test]
    fn a_secret_opens_by_its_key_and_where_it_belongs() {
        let (old, new) = (Vault::generate(), Vault::generate());
        let sealed = vault(&[&old]).seal("webhook 1", b"secret").expect("sealed");
        assert!(!sealed.contains("secret"));
        let both = vault(&[&new, &old]);
        assert_eq!(both.open("webhook 1", &sealed).expect("opened"), b"secret");
        assert!(both.open("webhook 2", &sealed).is_err());
        assert!(vault(&[&new]).open("webhook 1", &sealed).is_err());
        assert!(!both.is_current(&sealed) && vault(&[&old, &new]).is_current(&sealed));
        let again = both.seal("webhook 1", b"secret").expect("sealed");
        assert!(both.is_current(&again));
        assert_ne!(both.seal("webhook 1", b"secret").expect("sealed"), again);
    }

    #[test]
    fn what_is_no_key_is_refused_and_without_one_nothing_is_sealed() {
        for wrong in ["", "x", "AAAA", "AAAA,"] {
            assert!(Vault::parse(wrong).is_err(), "{wrong}");
        }
        let refused = Vault::default().seal("webhook 1", b"secret").expect_err("closed");
        assert_eq!(refused.code(), "SERVICE_UNAVAILABLE");
    }
}
