//! What is refused before anything else looks at it.

use holdfast::serve::{ServeError, launch_with_listener, serve};
use reqwest::header;
use tokio::net::TcpListener;

use holdfast_model::access::Permission;

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

#[tokio::test]
async fn a_caller_in_haste_is_told_to_wait_and_slows_nobody_else_down() {
    let server = Server::with("workers = 0\nrequests_per_second = 1\n").await;
    let (hasty, calm) = (server.key(&[], &[Permission::View]).await, server.key(&[], &[Permission::View]).await);
    let ask = async |token: &str| server.ask("GET", "/v1/projects").bearer_auth(token).send().await.unwrap();
    let mut slowed = 0;
    for _ in 0..40 {
        let answer = ask(&hasty).await;
        if answer.status() == 429 {
            slowed += 1;
            assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        } else {
            assert_eq!(answer.status(), 200);
        }
    }
    assert!(slowed > 0, "forty at once are more than twenty");
    assert_eq!(ask(&calm).await.status(), 200);
    let mut refused = Vec::new();
    for _ in 0..40 {
        refused.push(ask("hfk_guess").await.status());
    }
    assert!(refused.contains(&reqwest::StatusCode::TOO_MANY_REQUESTS), "guesses are counted too");
    assert_eq!(ask(&calm).await.status(), 200);
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_came_by_https_comes_by_https_again() {
    for (config, expected) in [("workers = 0\n", None), ("workers = 0\npublic_url = \"https://h.example\"\n", Some(()))]
    {
        let server = Server::with(config).await;
        let answer = server.ask("GET", "/healthz").send().await.unwrap();
        assert_eq!(answer.headers().get("strict-transport-security").map(|_| ()), expected);
        server.launched.stop().await.unwrap();
    }
}
