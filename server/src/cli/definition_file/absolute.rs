//! Makes the relative paths of a definition absolute: those of components, and commands that are given by a path.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

/// Rewrites `definition` in place; `folder` is absolute.
pub fn make(definition: &mut Value, folder: &Path) {
    let each = |list: Option<&mut Value>, change: &mut dyn FnMut(&mut Value)| {
        list.and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
    };
    each(definition.get_mut("components"), &mut |component| {
        for key in ["path", "file", "url_file"] {
            if let Some(path) = component.get_mut(key) {
                rewrite(path, folder);
            }
        }
    });
    let Some(restore) = definition.get_mut("restore") else { return };
    for key in ["stop", "start"] {
        command(restore.get_mut(key), folder);
    }
    each(restore.get_mut("after"), &mut |after| command(after.get_mut("cmd"), folder));
}

/// A bare word is looked up in the server's PATH; `./stop` and `bin/stop` are files beside the definition.
fn command(list: Option<&mut Value>, folder: &Path) {
    if let Some(program) = list.and_then(|list| list.get_mut(0))
        && program.as_str().is_some_and(|text| text.contains('/'))
    {
        rewrite(program, folder);
    }
}

fn rewrite(value: &mut Value, folder: &Path) {
    if let Some(text) = value.as_str()
        && Path::new(text).is_relative()
        && !text.is_empty()
        && let Some(path) = join(folder, Path::new(text)).to_str()
    {
        *value = Value::String(path.to_owned());
    }
}

/// `..` at the beginning is followed as the system follows it, through the real folder where `folder` is a link;
/// without `..` the folder is kept as it was named, so that a link which each deploy turns stays a link.
fn join(folder: &Path, relative: &Path) -> PathBuf {
    let ups = relative.components().filter(|part| *part != Component::CurDir);
    let above: PathBuf = ups.clone().take_while(|part| *part == Component::ParentDir).collect();
    let rest: PathBuf = ups.skip_while(|part| *part == Component::ParentDir).collect();
    let base = if above.as_os_str().is_empty() {
        folder.to_owned()
    } else {
        let up = folder.join(above);
        up.canonicalize().unwrap_or(up)
    };
    if rest.as_os_str().is_empty() { base } else { base.join(rest) }
}
