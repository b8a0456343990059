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
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::options::{Checksum, S3Options};
use crate::reach::Reach;

/// Says what is wrong with the options, if anything is.
pub(super) fn client(options: &S3Options) -> Result<Client, String> {
    let endpoint = url::Url::parse(&options.endpoint).map_err(|error| format!("the endpoint: {error}"))?;
    options.reach.check_host(endpoint.host_str().unwrap_or_default()).map_err(|error| error.to_string())?;
    let mut tls = TlsContext::builder();
    if let Some(ca) = &options.ca {
        refuse_bad_certificates(ca)?;
        tls = tls.with_trust_store(TrustStore::empty().with_pem_certificate(ca.as_bytes()));
    } else if endpoint.scheme() == "http" {
        // Nobody is asked for a certificate; reading the system's takes time.
        tls = tls.with_trust_store(TrustStore::empty());
    }
    let tls = tls.build().map_err(|error| format!("TLS: {error}"))?;
    let http = aws_smithy_http_client::Builder::new()
        .pool_max_idle_per_host(options.connections + 2)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .build_with_resolver(Guarded(options.reach.clone()));
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

/// Names lead only where the options say.
#[derive(Debug, Clone)]
struct Guarded(Reach);

impl ResolveDns for Guarded {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move { self.0.resolve(name).await.map_err(ResolveDnsError::new) })
    }
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
