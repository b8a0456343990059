//! Where a health check may go. Its address is set by an admin and may be private; what it may never be is link-local or
//! one by which a cloud hands its machines their credentials. The address that is looked at is the one that is connected
//! to, also after a redirect.

use std::net::SocketAddr;

use holdfast_vault::{OutOfReach, Reach};
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};

/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// Names are resolved once, and only to where a check may go.
pub(super) struct Guarded;

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = Reach::Anywhere.resolve(name.as_str()).await?;
            Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

/// Follows as far as a check may go.
pub(super) fn redirects() -> Policy {
    Policy::custom(|attempt| {
        if attempt.previous().len() > REDIRECTS {
            return attempt.stop();
        }
        match literal(attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(refused) => attempt.error(refused),
        }
    })
}

/// The same for an address that is written as numbers, which nobody resolves.
pub(super) fn literal(url: &Url) -> Result<(), OutOfReach> {
    Reach::Anywhere.check_host(url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn metadata_services_are_never_asked() {
        for refused in [
            "http://169.254.169.254/latest/meta-data",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://100.100.100.200/",
            "http://[fd00:ec2::254]/",
        ] {
            assert!(literal(&refused.parse().unwrap()).is_err(), "{refused}");
        }
        for fine in ["http://127.0.0.1:8080/", "http://10.0.0.5/", "https://shop.example/", "http://[::1]/"] {
            assert!(literal(&fine.parse().unwrap()).is_ok(), "{fine}");
        }
    }

    #[tokio::test]
    async fn a_redirect_leads_nowhere_else() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let serve = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut asked).await.unwrap();
            let answer = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/x\r\ncontent-length: 0\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        });
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirects())
            .dns_resolver(std::sync::Arc::new(Guarded))
            .build()
            .unwrap();
        let refused = client.get(format!("http://{at}/")).send().await.unwrap_err();
        assert!(refused.is_redirect(), "{refused:?}");
        serve.await.unwrap();
    }
}
