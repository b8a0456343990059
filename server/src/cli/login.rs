//! `holdfast login` and `holdfast logout`: a person signs in at a terminal, by a code that they give in a browser.

use clap::Args;
use holdfast_model::me::{DeviceLogin, Me};
use serde_json::json;
use time::OffsetDateTime;
use url::Url;

use super::{
    Ending,
    client::{Client, http, root_cause},
    credential::Credential,
    discover::Server,
    failure::Failure,
    logins::{Login, Logins},
    print::{text::plain, times},
    session::Session,
};
use crate::config::identity::is_private;

pub mod provider;

use provider::Provider;

const EXAMPLES: &str = "\
Examples:
  holdfast login                                   to the server on this machine
  holdfast login --url https://holdfast.example.org
  holdfast logout

Afterwards each command asks that server as you, unless HOLDFAST_TOKEN is set. What needs a new sign-in prints the address
of a page, and waits until you have confirmed it there.";

/// Options of `login`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LoginArguments {
    /// The identity provider, by its name on the server [default: the only one]
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

/// Signs in, says as whom, and keeps it.
pub async fn run(session: &Session<'_>, arguments: LoginArguments) -> Result<Ending, Failure> {
    let (server, logins, output) = (session.address()?, logins()?, session.output);
    if !is_private(&server) {
        return Err(Failure::Login {
            message: format!(
                "{server} is plain http on another machine, where anybody on the way could read your token"
            ),
            mend: "give its https address".into(),
        });
    }
    let login = chosen(devices(&server).await?, arguments.provider.as_deref())?;
    let provider = Provider::of(&login.issuer, &login.client_id).await?;
    let begun = provider.begin(&login).await?;
    let (place, code) = (begun.verification_uri().as_str(), begun.user_code().secret());
    output.line(format!("Open {} and give the code {}", plain(place), plain(code)))?;
    if let Some(whole) = begun.verification_uri_complete() {
        output.line(format!("or open {}", plain(whole.secret())))?;
    }
    let until = times::moment(OffsetDateTime::now_utc() + begun.expires_in());
    output.note(format!("Waiting until {until}. Ctrl-C stops."))?;
    let made = provider.finish(&login, &begun).await?;
    let me = match me(&server, &made).await {
        Ok(me) => me,
        Err(failure) => {
            // Whom the server does not take is not left signed in; why it does not is what counts here.
            let _ = provider.revoke(&made).await;
            return Err(failure);
        }
    };
    let (turn, key) = (logins.turn().await?, Logins::key(&server));
    logins.put(&turn, &key, &made)?;
    if output.is_json() {
        output.json(&json!({ "server": key, "provider": made.provider, "me": me }))?;
    } else {
        output.line(format!("Signed in to {key} as {}: {me}.", plain(&me.name)))?;
    }
    Ok(Ending::Done)
}

/// Forgets the login here, and ends it at the provider where that takes it.
pub async fn out(session: &Session<'_>) -> Result<Ending, Failure> {
    let (server, logins, output) = (session.address()?, logins()?, session.output);
    let key = Logins::key(&server);
    let gone = {
        let turn = logins.turn().await?;
        logins.remove(&turn, &key)?
    };
    let revoked = match &gone {
        Some(login) => match Provider::of(&login.issuer, &login.client_id).await {
            Ok(provider) => provider.revoke(login).await,
            Err(failure) => Err(failure),
        },
        None => Ok(false),
    };
    if let Err(failure) = &revoked {
        output.note(format!("warning: at the provider it ends by itself, not now: {failure}"))?;
    }
    let revoked = matches!(revoked, Ok(true));
    if output.is_json() {
        output.json(&json!({ "server": key, "signed_out": gone.is_some(), "revoked": revoked }))?;
    } else if gone.is_some() {
        output.line(format!("Signed out of {key}."))?;
    } else {
        output.note(format!("Nobody was signed in to {key} at this terminal."))?;
    }
    Ok(Ending::Done)
}

/// Where this person's logins are.
///
/// # Errors
/// When they have no folder of their own.
pub fn logins() -> Result<Logins, Failure> {
    Logins::of_caller().ok_or_else(|| Failure::Login {
        message: "there is no place to keep a login in".into(),
        mend: "set HOME, or XDG_CONFIG_HOME".into(),
    })
}

/// `GET /sign-in/devices`
async fn devices(server: &Url) -> Result<Vec<DeviceLogin>, Failure> {
    let url = Logins::key(server);
    let broken = |error: reqwest::Error| Failure::NoAnswer { url: url.clone(), reason: root_cause(&error) };
    let place = format!("{url}/sign-in/devices");
    let answer = http(server).build().map_err(broken)?.get(place).send().await.map_err(broken)?;
    let odd = |reason: String| Failure::NotHoldfast { url: url.clone(), reason };
    if answer.status() != 200 {
        return Err(odd(format!("it answered {}", answer.status())));
    }
    answer.json().await.map_err(|error| odd(format!("its answer: {}", root_cause(&error))))
}

fn chosen(all: Vec<DeviceLogin>, wanted: Option<&str>) -> Result<DeviceLogin, Failure> {
    let names: Vec<String> = all.iter().map(|login| login.name.to_string()).collect();
    let mut fit: Vec<DeviceLogin> =
        all.into_iter().filter(|login| wanted.is_none_or(|wanted| login.name.as_str() == wanted)).collect();
    match (fit.pop(), fit.is_empty(), names.is_empty()) {
        (Some(login), true, _) => Ok(login),
        (_, _, true) => Err(Failure::Login {
            message: "nobody signs in at a terminal here: no [[identity]] of this server has a device_client_id".into(),
            mend: "have whoever runs it set one in holdfast.toml; README.md says how".into(),
        }),
        _ => Err(Failure::Usage {
            message: match wanted {
                Some(wanted) => format!("there is no identity provider `{}` here", plain(wanted)),
                None => "there are several identity providers here".into(),
            },
            mend: format!("choose one: holdfast login --provider {}", names.join("|")),
        }),
    }
}

/// Who that is, by the server's own word.
async fn me(server: &Url, login: &Login) -> Result<Me, Failure> {
    let credential = Credential::Token(login.access_token.secret().clone());
    Client::new(Server { url: server.clone(), credential })?.me().await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_several_providers_one_is_chosen_by_its_name() {
        let login = |name: &str| DeviceLogin {
            name: name.parse().unwrap(),
            issuer: format!("https://{name}.example.org"),
            client_id: "cli".into(),
            scopes: vec![],
        };
        assert_eq!(chosen(vec![login("a")], None).unwrap().name.as_str(), "a");
        assert_eq!(chosen(vec![login("a"), login("b")], Some("a")).unwrap().name.as_str(), "a");
        let several = chosen(vec![login("a"), login("b")], None).unwrap_err();
        assert_eq!(several.code(), 2);
        assert!(several.for_people().contains("--provider a|b"), "{}", several.for_people());
        assert!(chosen(vec![login("a")], Some("x")).unwrap_err().to_string().contains("`x`"));
        assert!(chosen(vec![], None).unwrap_err().to_string().contains("device_client_id"));
    }
}
