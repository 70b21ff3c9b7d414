//! TLS between a test and its server.

use std::sync::Arc;

use orqit::connections;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// TLS on the server, and a client configuration that trusts it.
pub fn tls() -> (TlsAcceptor, ClientConfig) {
    let (acceptor, roots) = tls_with_roots();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (acceptor, client)
}

/// TLS on the server, which is `localhost`, and the root that it is trusted by.
pub fn tls_with_roots() -> (TlsAcceptor, RootCertStore) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let acceptor = connections::tls(&cert, &key).expect("a certificate and its key");

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&cert).expect("PEM")).expect("a root");
    (acceptor, roots)
}
