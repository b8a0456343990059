//! What is refused before anything else looks at it.

use holdfast::serve::{ServeError, launch_with_listener, serve};
use reqwest::header;
use tokio::net::TcpListener;

use crate::harness::{Server, settings};

#[tokio::test]
async fn without_an_identity_provider_only_loopback_is_listened_on() {
    let folder = tempfile::tempdir().unwrap();
    let everywhere = settings(folder.path(), "listen = \"0.0.0.0:0\"\n");
    let refusal = serve(everywhere.clone(), |_, _| ()).await.unwrap_err();
    assert!(matches!(refusal, ServeError::NotLoopback(_)));
    assert!(refusal.to_string().contains("HOLDFAST_LISTEN"), "{refusal}");
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(launch_with_listener(everywhere, listener).await.is_err());
    assert!(!folder.path().join("data/catalogue.db").exists(), "nothing was made");
}

#[tokio::test]
async fn one_data_directory_has_one_server() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = launch_with_listener(settings(server.folder.path(), "workers = 0\n"), listener).await;
    let refusal = second.err().expect("a second server is refused").to_string();
    assert!(refusal.contains("another Holdfast server"), "{refusal}");
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn a_foreign_host_name_is_refused_everywhere() {
    let server = Server::start().await;
    let cookie = server.sign_in().await;
    for path in ["/healthz", "/sign-in", "/", "/v1/projects"] {
        let request =
            server.host("GET", path).header(header::HOST, "rebound.evil.example").header(header::COOKIE, &cookie);
        assert_eq!(request.send().await.unwrap().status(), 421, "{path}");
    }
    let ours = server.ask("GET", "/healthz").header(header::HOST, "localhost:1").send().await.unwrap();
    assert_eq!(ours.status(), 200);
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn the_credential_survives_a_restart_and_the_port_is_written_down_anew() {
    let server = Server::start().await;
    let (token, folder) = (server.token, server.folder);
    server.launched.stop().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let launched = launch_with_listener(settings(folder.path(), "workers = 0\n"), listener).await.unwrap();
    let text = std::fs::read_to_string(folder.path().join("data/client.json")).unwrap();
    assert!(text.contains(&token) && text.contains(&format!("http://127.0.0.1:{port}\"")), "{port}");
    let answer = reqwest::Client::new().get(format!("http://127.0.0.1:{port}/v1/projects")).bearer_auth(&token);
    assert_eq!(answer.send().await.unwrap().status(), 200);
    launched.stop().await.unwrap();
}
