//! The definition of an environment that a restore makes: another one's, with places of its own.
//!
//! Its commands, its address and its schedule are not taken over: they belong to the application that runs already.

use std::{collections::BTreeMap, path::Path};

use holdfast_engine::postgres;
use holdfast_model::{
    definition::{Definition, Settings},
    name::Name,
    problem::Fault,
    secret::Sent,
};
use serde_json::{Map, Value, json};

use super::ActionError;

/// What a clone is made of.
pub(super) struct Clone<'a> {
    /// The definition of the environment that the checkpoint was taken of: its text and its values.
    pub source: (&'a Value, &'a Definition),
    /// What the clone is called.
    pub project: &'a Name,
    /// Its name within the project.
    pub environment: &'a Name,
    /// The components that it gets.
    pub components: &'a [Name],
    /// Where each of them goes.
    pub map: &'a BTreeMap<Name, Sent>,
}

impl Clone<'_> {
    /// The definition's text.
    ///
    /// # Errors
    /// [`ActionError::Unprocessable`] names every component without a place, and every place that fits none.
    pub(super) fn definition(&self) -> Result<Value, ActionError> {
        let mut faults = Vec::new();
        let strangers = self.map.keys().filter(|name| !self.components.contains(*name));
        faults.extend(strangers.map(|name| Fault {
            at: format!("map.{name}"),
            message: format!("`{name}` is none of the components that go there; leave its place out"),
        }));
        let mut components = Vec::new();
        for name in self.components {
            match self.component(name) {
                Ok(component) => components.push(component),
                Err(message) => faults.push(Fault { at: format!("map.{name}"), message }),
            }
        }
        if let Some(first) = faults.first() {
            return Err(ActionError::Unprocessable {
                message: format!(
                    "there is no environment {}/{} yet, and it cannot be made: {}",
                    self.project, self.environment, first.message
                ),
                errors: faults,
            });
        }
        let mut made = json!({ "project": self.project, "environment": self.environment, "components": components });
        if let Some(drill) = self.source.0.get("drill") {
            made["drill"] = self.drill(drill);
        }
        Ok(made)
    }

    fn component(&self, name: &Name) -> Result<Value, String> {
        let listed = self.source.0.get("components").and_then(Value::as_array);
        let text =
            listed.into_iter().flatten().find(|one| one.get("name").and_then(Value::as_str) == Some(name.as_str()));
        let known = self.source.1.component(name.as_str());
        let (Some(mut component), Some(known)) = (text.and_then(Value::as_object).cloned(), known) else {
            return Err(format!(
                "component `{name}` is not in the definition of {} as it is applied now; apply one that has it, or leave it out with --components",
                self.source.1.environment
            ));
        };
        let place = self.map.get(name).map(Sent::expose);
        match &known.settings {
            Settings::Files { path, .. } => {
                let new = absolute(name, place)?;
                move_patterns(&mut component, path, new);
                component.insert("path".to_owned(), json!(new));
            }
            Settings::Git { .. } | Settings::Sqlite { .. } => {
                component.insert("path".to_owned(), json!(absolute(name, place)?));
            }
            Settings::Config { file: Some(_), .. } => {
                component.insert("file".to_owned(), json!(absolute(name, place)?));
            }
            Settings::Config { file: None, .. } => {
                if place.is_some() {
                    return Err(format!(
                        "component `{name}` has no file, so it has no place; leave it out of the mapping"
                    ));
                }
            }
            Settings::Postgres { url } => {
                let place = place.filter(|place| !place.is_empty()).ok_or_else(|| {
                    format!("say where component `{name}` goes: --map {name}=DATABASE, on the same server, or a URL")
                })?;
                let url = match place.contains("://") {
                    true => place.to_owned(),
                    false => postgres::database_of(url, place)?.expose().to_owned(),
                };
                component.remove("url_env");
                component.remove("url_file");
                component.insert("url".to_owned(), json!(url));
            }
            Settings::Unsupported(kind) => return Err(format!("kind `{kind}` cannot be put back by this version")),
        }
        Ok(Value::Object(component))
    }

    /// What is checked in a drill, of the components that are there.
    fn drill(&self, drill: &Value) -> Value {
        let mut drill = drill.clone();
        if let Some(smoke) = drill.get_mut("smoke").and_then(Value::as_array_mut) {
            smoke.retain(|check| {
                let component = check.get("component").and_then(Value::as_str);
                self.components.iter().any(|name| Some(name.as_str()) == component)
            });
        }
        drill
    }
}

fn absolute<'a>(name: &Name, place: Option<&'a str>) -> Result<&'a str, String> {
    match place {
        Some(place) if Path::new(place).is_absolute() => Ok(place),
        Some(place) if place.contains("://") => Err(format!("component `{name}` goes to a path, and a URL was given")),
        Some(place) => Err(format!("the path `{place}` of component `{name}` is relative; give an absolute one")),
        None => Err(format!("say where component `{name}` goes: --map {name}=PATH")),
    }
}

/// A pattern that names the old place means the new one.
fn move_patterns(component: &mut Map<String, Value>, old: &Path, new: &str) {
    let patterns = component.get_mut("exclude").and_then(Value::as_array_mut);
    for pattern in patterns.into_iter().flatten() {
        let moved = pattern.as_str().and_then(|text| {
            let (not, body) = text.strip_prefix('!').map_or(("", text), |body| ("!", body));
            let rest = Path::new(body).strip_prefix(old).ok()?;
            let slash = if body.ends_with('/') { "/" } else { "" };
            Some(format!("{not}{}{slash}", Path::new(new).join(rest).display()))
        });
        if let Some(moved) = moved {
            *pattern = Value::String(moved);
        }
    }
}
