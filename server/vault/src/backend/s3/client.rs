//! The SDK's client, made by hand: our keys, our trust, no tries of its own.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::options::{Checksum, S3Options};

/// Says what is wrong with the options, if anything is.
pub(super) fn client(options: &S3Options) -> Result<Client, String> {
    let http = aws_smithy_http_client::Builder::new().pool_max_idle_per_host(options.connections + 2);
    let http = if options.endpoint.starts_with("https:") {
        let mut tls = TlsContext::builder();
        if let Some(ca) = &options.ca {
            refuse_bad_certificates(ca)?;
            tls = tls.with_trust_store(TrustStore::empty().with_pem_certificate(ca.as_bytes()));
        }
        let tls = tls.build().map_err(|error| format!("TLS: {error}"))?;
        http.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https()
    } else {
        http.build_http()
    };
    let session = options.session_token.as_ref().map(|token| token.expose().to_owned());
    let keys = Credentials::new(&options.access_key, options.secret_key.expose(), session, None, "vault");
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(options.region.clone()))
        .endpoint_url(&options.endpoint)
        .force_path_style(options.path_style)
        .credentials_provider(keys)
        // A try is more than what the SDK sees: the body's end, its length and its hash belong to it. So we try again.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(options.connect_timeout).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(match options.checksum {
            Checksum::None | Checksum::Md5 => RequestChecksumCalculation::WhenRequired,
            // "When required" would ignore the algorithm that a request names.
            _ => RequestChecksumCalculation::WhenSupported,
        })
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    Ok(Client::from_conf(config))
}

/// The SDK would panic over these.
fn refuse_bad_certificates(pem: &str) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("the CA's certificate is not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("the CA's certificate cannot be used: {error}"))?;
    }
    if roots.is_empty() { Err("there is no certificate in the CA's PEM".into()) } else { Ok(()) }
}
