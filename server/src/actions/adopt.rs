//! Adopting a vault: what lies in it becomes visible here, as if it had been made here.

use std::collections::{HashMap, HashSet};

use holdfast_model::{
    access::Permission,
    definition::Definition,
    id::EnvironmentId,
    manifest::Manifest,
    name::Name,
    request::AdoptVault,
    view::{Adopted, AdoptedEnvironment, EnvironmentRef},
};
use holdfast_vault::{Error as VaultError, Password, Vault};
use zeroize::Zeroizing;

use super::{ActionError, Actions, definition::view};
use crate::{
    store::{AppliedDefinition, AppliedView, FoundCheckpoint, ProjectRow, Publication, VaultRow},
    vaults::{
        OpenVault, VaultsError, blocking,
        contents::{self, Contents, Sealed},
        foreign,
    },
};

/// An environment as its newest checkpoint in the vault knows it.
struct Known {
    manifest: Manifest,
    definition: Zeroizing<Vec<u8>>,
}

impl Actions {
    /// Makes the checkpoints of a vault visible here, with their proofs, and their environments, whose definitions
    /// wait to be confirmed. Once more, it adds what is missing.
    ///
    /// # Errors
    /// [`ActionError::Unprocessable`] when there is no vault, or the password does not open it;
    /// [`ActionError::Conflict`] when the project has another vault.
    pub async fn adopt(&self, request: AdoptVault) -> Result<Adopted, ActionError> {
        // It may bring environments of any project.
        self.require(None, Permission::Vaults)?;
        let password = Password::new(request.password);
        let key = request.key.map(|key| (key.name, key.content.into_bytes()));
        let vaults = self.parts.desk.vaults();
        let place = self.place_for_vault(&request.location, request.bucket.as_ref()).await?;
        let vault = vaults.open_unknown(&place, &password, key).await.map_err(refused)?;
        let mut contents = blocking(vault.clone(), contents::read).await?;
        let project = project(request.project, &contents)?;
        refuse_two_of_one_name(&contents)?;
        let foreign = self.foreign(&vault, &mut contents, &project).await?;
        let open =
            vaults.adopt(&self.caller.name, &project, &password, (&place, request.bucket.as_ref()), vault).await?;
        self.bring_in(open, contents, foreign, project).await
    }

    /// Makes visible what lies in a vault that the catalogue knows, and is newer than the catalogue.
    ///
    /// # Errors
    /// When the vault cannot be opened or listed.
    pub(crate) async fn take_in(&self, project: &ProjectRow, vault: &VaultRow) -> Result<Adopted, ActionError> {
        let open = self.parts.desk.vaults().get(&vault.id).await?;
        let contents = blocking(open.vault.clone(), contents::read).await?;
        let ours = contents.checkpoints.iter().map(|sealed| &sealed.snapshot);
        let there: HashSet<String> = ours.chain(&contents.foreign).map(|snapshot| snapshot.id.to_string()).collect();
        // What others wrote becomes visible only when somebody asks for it.
        let mut adopted = self.bring_in(open, contents, Vec::new(), project.name.clone()).await?;
        for gone in self.store().snapshots_of(&vault.id).await?.into_iter().filter(|id| !there.contains(id)) {
            adopted.problems.push(format!("a checkpoint's snapshot {gone} is not there, or cannot be read"));
        }
        Ok(adopted)
    }

    async fn bring_in(
        &self,
        open: OpenVault,
        mut contents: Contents,
        foreign: Vec<(Sealed, Zeroizing<Vec<u8>>)>,
        project: Name,
    ) -> Result<Adopted, ActionError> {
        let location = open.vault.location();
        let (environments, ids) = self.environments_of(&open, &mut contents, &foreign, &project).await?;

        let sealed = contents.checkpoints.into_iter().chain(foreign.into_iter().map(|(sealed, _)| sealed));
        let found: Vec<FoundCheckpoint> = sealed.filter_map(|sealed| publication(sealed, &open, &ids)).collect();
        let added = self.store().adopt_checkpoints(&open.id, &found, &contents.facts).await?;
        self.parts.desk.measure(&open).await?;
        self.store().sample().await?;
        Ok(Adopted {
            project,
            location,
            environments,
            checkpoints: found.len() as u64,
            new_checkpoints: added.checkpoints,
            new_drills: added.drills,
            problems: contents.problems,
        })
    }

    /// The snapshots of others, each with the definition that would take it again.
    async fn foreign(
        &self,
        vault: &Vault,
        contents: &mut Contents,
        project: &Name,
    ) -> Result<Vec<(Sealed, Zeroizing<Vec<u8>>)>, ActionError> {
        let (snapshots, project) = (std::mem::take(&mut contents.foreign), project.clone());
        let (found, problems) = blocking(vault.clone(), move |vault| {
            let mut reader = foreign::Reader::new(vault, project);
            let (mut found, mut problems) = (Vec::new(), Vec::new());
            for snapshot in snapshots {
                match reader.manifest(&snapshot) {
                    Ok(manifest) => {
                        let definition = foreign::Reader::definition(&manifest);
                        let text = serde_json::to_string_pretty(&manifest)
                            .map_err(|error| VaultError::Refused(error.to_string()))?;
                        found.push((Sealed { manifest, text, snapshot }, definition));
                    }
                    Err(error) => problems.push(format!("snapshot {}: {error}", snapshot.id)),
                }
            }
            Ok((found, problems))
        })
        .await?;
        contents.problems.extend(problems);
        Ok(found)
    }

    /// Makes the environments; gives where each one that a manifest names stands now.
    async fn environments_of(
        &self,
        open: &OpenVault,
        contents: &mut Contents,
        foreign: &[(Sealed, Zeroizing<Vec<u8>>)],
        project: &Name,
    ) -> Result<(Vec<AdoptedEnvironment>, HashMap<Name, EnvironmentId>), ActionError> {
        let mut known: HashMap<Name, Known> = HashMap::new();
        for (sealed, definition) in foreign {
            let newest = Known { manifest: sealed.manifest.clone(), definition: definition.clone() };
            known.insert(sealed.manifest.environment.clone(), newest);
        }
        // In order of time, so that the newest definition is the one that stays.
        let mut newest: HashMap<Name, &Sealed> = HashMap::new();
        for sealed in &contents.checkpoints {
            newest.insert(sealed.manifest.environment.clone(), sealed);
        }
        for (name, sealed) in newest {
            let tree = sealed.snapshot.tree;
            let definition = match blocking(open.vault.clone(), move |vault| contents::definition(vault, &tree)).await {
                Ok(definition) => definition,
                Err(error) => {
                    contents.problems.push(format!("the definition of {name}: {error}"));
                    Zeroizing::default()
                }
            };
            known.insert(name, Known { manifest: sealed.manifest.clone(), definition });
        }
        let (mut environments, mut ids) = (Vec::new(), HashMap::new());
        for (name, known) in known {
            let applied = self.applied(project, &known, &mut contents.problems)?;
            let wanted = &known.manifest.environment_id;
            let id = self.store().adopt_environment(&self.parts.key, &self.caller.name, wanted, &applied).await?;
            let row = self.store().environment(&id).await?;
            environments.push(AdoptedEnvironment {
                environment: EnvironmentRef { id: id.clone(), name: row.name, project: row.project },
                to_confirm: row.to_confirm,
            });
            ids.insert(name, id);
        }
        environments.sort_by(|a, b| a.environment.name.cmp(&b.environment.name));
        Ok((environments, ids))
    }

    /// A sealed definition as one of this project; one that cannot be read leaves the environment without components.
    fn applied(
        &self,
        project: &Name,
        known: &Known,
        problems: &mut Vec<String>,
    ) -> Result<AppliedDefinition, ActionError> {
        let environment = known.manifest.environment.clone();
        let read = serde_json::from_slice::<serde_json::Value>(&known.definition).and_then(|mut value| {
            value["project"] = project.as_str().into();
            let definition: Definition = serde_json::from_value(value.clone())?;
            Ok((value, definition))
        });
        let (value, shown) = match read {
            Ok((value, definition)) => (value, view(&definition, self.settings(), Vec::new())),
            Err(error) => {
                // The error's text could quote a secret: it tells no more than the place.
                let place = format!("line {}, column {}", error.line(), error.column());
                problems.push(format!("the definition of {environment} cannot be read ({place}); apply one"));
                let empty = serde_json::json!({"project": project, "environment": environment, "components": []});
                (empty, AppliedView::default())
            }
        };
        let raw = Zeroizing::new(serde_json::to_vec(&value).map_err(ActionError::internal)?);
        Ok(AppliedDefinition { project: project.clone(), environment, raw, view: shown })
    }
}

fn publication(sealed: Sealed, open: &OpenVault, ids: &HashMap<Name, EnvironmentId>) -> Option<FoundCheckpoint> {
    Some(FoundCheckpoint {
        environment: ids.get(&sealed.manifest.environment)?.clone(),
        publication: Publication {
            vault: open.id.clone(),
            snapshot: sealed.snapshot.id.to_string(),
            tree: sealed.snapshot.tree.to_string(),
            manifest: sealed.manifest,
            text: sealed.text,
        },
    })
}

/// The project that is asked for, or else the one that the checkpoints name.
fn project(asked: Option<Name>, contents: &Contents) -> Result<Name, ActionError> {
    if let Some(name) = asked {
        return Ok(name);
    }
    let mut names: Vec<&Name> = contents.checkpoints.iter().map(|sealed| &sealed.manifest.project).collect();
    names.sort();
    names.dedup();
    match names.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(ActionError::invalid("project", "project: the vault does not name one; say which it shall be of")),
        many => {
            let many = many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(ActionError::invalid(
                "project",
                format!("project: the vault holds checkpoints of {many}; say which it shall be of"),
            ))
        }
    }
}

/// Checkpoints of several projects may come to one; two environments of one name must not become one.
fn refuse_two_of_one_name(contents: &Contents) -> Result<(), ActionError> {
    let mut owners: HashMap<&Name, &Name> = HashMap::new();
    for Sealed { manifest, .. } in &contents.checkpoints {
        let owner = *owners.entry(&manifest.environment).or_insert(&manifest.project);
        if owner != &manifest.project {
            return Err(ActionError::Conflict(format!(
                "the vault holds {owner}/{0} and {1}/{0}, which would become one environment; it cannot be adopted as it is",
                manifest.environment, manifest.project
            )));
        }
    }
    Ok(())
}

/// What the caller can mend is said to be so.
pub(super) fn refused(error: VaultsError) -> ActionError {
    let at = match &error {
        VaultsError::Vault { source: VaultError::WrongPassword, .. } => "password",
        VaultsError::Vault { source: VaultError::Refused(_), .. } => "key",
        VaultsError::Vault {
            source: VaultError::NotAVault { .. } | VaultError::AlreadyAVault { .. } | VaultError::Backend(_),
            ..
        }
        | VaultsError::Unfit { .. } => "location",
        _ => return error.into(),
    };
    let message = error.to_string();
    ActionError::Unprocessable {
        message: message.clone(),
        errors: vec![holdfast_model::problem::Fault { at: at.into(), message }],
    }
}
