//! The signatures of a delivery: in Orqit's own header, and as Standard Webhooks has it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The prefix of a secret.
const PREFIX: &str = "whsec_";
/// The bytes of a secret.
pub const SECRET_BYTES: usize = 32;

/// The headers that sign a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Signatures {
    /// The value of `X-Orqit-Signature`.
    pub orqit: String,
    /// The value of `webhook-signature`.
    pub standard: String,
}

/// A secret as its owner gets it.
pub fn secret_text(secret: &[u8]) -> String {
    format!("{PREFIX}{}", BASE64.encode(secret))
}

/// The secret in such a text.
pub fn secret(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.strip_prefix(PREFIX)?).ok()
}

/// Signs a body that is sent at `seconds` since 1970, by each of the secrets.
pub fn sign(secrets: &[Vec<u8>], id: &str, seconds: i64, body: &[u8]) -> Signatures {
    let seconds = seconds.to_string();
    let mut orqit = format!("t={seconds}");
    let mut standard = Vec::new();
    for secret in secrets {
        let digest = hmac(secret, &[seconds.as_bytes(), body]);
        orqit += ",v1=";
        orqit.extend(digest.iter().map(|byte| format!("{byte:02x}")));
        let digest = hmac(secret, &[id.as_bytes(), seconds.as_bytes(), body]);
        standard.push(format!("v1,{}", BASE64.encode(digest)));
    }
    Signatures { orqit, standard: standard.join(" ") }
}

/// The HMAC of parts with dots between them.
fn hmac(secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            mac.update(b".");
        }
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_signed_as_standard_webhooks_has_it() {
        // The example of the Standard Webhooks specification.
        let secret = secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = br#"{"test": 2432232314}"#;
        let signed = sign(&[secret], id, 1_614_265_330, body);
        assert_eq!(signed.standard, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(signed.orqit.starts_with("t=1614265330,v1="));
    }

    #[test]
    fn each_secret_signs() {
        let secrets = [vec![1; SECRET_BYTES], vec![2; SECRET_BYTES]];
        let signed = sign(&secrets, "evt_1", 7, b"{}");
        assert_eq!(signed.orqit.matches(",v1=").count(), 2);
        assert_eq!(signed.standard.split(' ').count(), 2);
        assert_eq!(secret(&secret_text(&secrets[0])), Some(secrets[0].clone()));
        assert_eq!(secret("hsec_AAAA"), None);
    }
}
