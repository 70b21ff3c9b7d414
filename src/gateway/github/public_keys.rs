//! The public keys of GitHub's secret scanning, in the form in which GitHub publishes them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

/// The beginning of a P-256 key in DER (RFC 5480): the algorithm and the curve; the uncompressed
/// point follows: 4 and two times 32 bytes.
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const UNCOMPRESSED: u8 = 4;
const POINT_LEN: usize = 65;

type PublicKey = UnparsedPublicKey<Vec<u8>>;

/// The keys by their identifiers, older ones too: what they signed may still be under way.
#[derive(Debug, Clone)]
pub struct GithubKeys(Arc<HashMap<String, PublicKey>>);

#[derive(Deserialize)]
struct Published {
    public_keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    key_identifier: String,
    /// The key, as PEM.
    key: String,
}

impl GithubKeys {
    /// Reads a file of keys; an error is a sentence for the operator.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        text.and_then(|text| Self::parse(&text)).map_err(|error| {
            let path = path.display();
            format!(
                "cannot use {path} as GitHub's public keys: {error}; ORQIT_GITHUB_PUBLIC_KEYS names \
                 a file such as https://api.github.com/meta/public_keys/secret_scanning answers"
            )
        })
    }

    /// The keys in the JSON that GitHub publishes, or what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let published: Published = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut keys = HashMap::new();
        for PublishedKey { key_identifier, key } in published.public_keys {
            let point = point(&key).map_err(|error| format!("key {key_identifier} {error}"))?;
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
            if keys.insert(key_identifier.clone(), key).is_some() {
                return Err(format!("key {key_identifier} stands there twice"));
            }
        }
        if keys.is_empty() { Err("it has no keys".to_owned()) } else { Ok(Self(Arc::new(keys))) }
    }

    /// The key with this identifier.
    pub(super) fn find(&self, identifier: &str) -> Option<&PublicKey> {
        self.0.get(identifier)
    }
}

/// The point of a P-256 key in PEM.
fn point(pem: &str) -> Result<Vec<u8>, String> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| format!("is no public key in PEM: {error}"))?;
    match der.strip_prefix(&P256_SPKI) {
        Some(point) if point.len() == POINT_LEN && point[0] == UNCOMPRESSED => Ok(point.to_vec()),
        _ => Err("is no P-256 key".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData};

    use super::*;

    fn published(keys: &[(&str, &str)]) -> String {
        let keys = keys.iter().map(|(key_identifier, key)| {
            serde_json::json!({"key_identifier": key_identifier, "key": key, "is_current": true})
        });
        serde_json::json!({"public_keys": keys.collect::<Vec<_>>()}).to_string()
    }

    #[test]
    fn keys_are_read_as_github_publishes_them() {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let pem = pair.public_key_pem();
        let keys = GithubKeys::parse(&published(&[("one", &pem), ("two", &pem)])).expect("keys");
        let key = keys.find("two").expect("the second");
        assert_eq!(key.as_ref(), pair.der_bytes());
        assert!(keys.find("three").is_none());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        let pem = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key").public_key_pem();
        let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key").public_key_pem();
        for (text, told) in [
            ("", "EOF"),
            ("{}", "public_keys"),
            ("[]", "Published"),
            (&published(&[]), "no keys"),
            (&published(&[("one", "nonsense")]), "key one is no public key in PEM"),
            (&published(&[("one", &pem), ("two", &p384)]), "key two is no P-256 key"),
            (&published(&[("one", &pem), ("one", &pem)]), "key one stands there twice"),
        ] {
            let error = GithubKeys::parse(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
        let error = GithubKeys::read(Path::new("no/such/file")).expect_err("no file");
        assert!(error.starts_with("cannot use no/such/file as GitHub's public keys: "), "{error}");
    }
}
