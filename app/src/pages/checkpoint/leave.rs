//! How a checkpoint leaves: as an export, or by stock tools.

use holdfast_model::state::Kind;
use leptos::prelude::*;

use crate::{
    backend::CheckpointPage,
    components::{copy::commands, layout::section},
};

/// Everything in one archive that anybody's tools read.
pub fn export(page: &CheckpointPage) -> AnyView {
    let id = page.checkpoint.id.as_str();
    let link = |format: &str| {
        let href = format!("/ui/checkpoints/{id}/export?format={format}");
        view! { <a class="button" href=href>{format!("Export (.{format})")}</a> }
    };
    let encrypted = format!("holdfast checkpoint export {id} --output {id}.tar.gz --encrypt-to age1…");
    section(
        "export",
        "Export",
        None,
        view! {
            <p class="prose">
                "One archive with everything in this checkpoint, readable without Holdfast. It holds every secret in the clear: keep it as you keep passwords. The download begins once the whole checkpoint has been read."
            </p>
            <p class="buttons">{link("tar.zst")} {link("tar.gz")}</p>
            <p class="prose">"Encrypted, from the command line:"</p>
            {commands(encrypted, "the command that exports it encrypted")}
        }
        .into_any(),
    )
}

/// The commands of stock tools, ready to be copied.
pub fn commands_without_holdfast(page: &CheckpointPage) -> AnyView {
    let vault = &page.checkpoint.vault;
    let (repository, snapshot) = (quoted(&vault.repository), &vault.snapshot);
    let whole = format!("restic -r {repository} restore {snapshot} --target ./restored");
    let databases: Vec<_> = page
        .components
        .iter()
        .filter_map(|c| {
            let name = &c.name;
            let text = match c.kind {
                Kind::Postgres => format!(
                    "restic -r {repository} dump {snapshot} /{}/dump.pgc > {name}.pgc\ncreatedb {name}_restored\npg_restore --exit-on-error --no-owner -d {name}_restored {name}.pgc",
                    c.place
                ),
                Kind::Git => format!(
                    "restic -r {repository} restore {snapshot} --include /{} --target ./restored\ngit clone ./restored/{} {name}",
                    c.place, c.place
                ),
                _ => return None,
            };
            Some(view! {
                <h3>{format!("{name} alone")}</h3>
                {commands(text, &format!("the commands that give {name} back"))}
            })
        })
        .collect();
    let kit = format!("holdfast vault recovery-kit {}", page.checkpoint.environment.project);
    section(
        "without-holdfast",
        "Without Holdfast",
        None,
        view! {
            <p class="prose">
                "The vault is a restic repository. Stock restic asks for its password, which stands in the recovery kit of the project ("
                <code>{kit}</code> ")."
            </p>
            <h3>"Everything"</h3>
            {commands(whole, "the command that restores everything")}
            {databases}
        }
        .into_any(),
    )
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_repository_is_one_word_of_the_shell() {
        assert_eq!(quoted("/var/lib/holdfast/vaults/shop"), "/var/lib/holdfast/vaults/shop");
        assert_eq!(quoted("/home/a b/it's"), r"'/home/a b/it'\''s'");
    }
}
