//! What throwaway servers of processes that are gone have left.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;

use super::{OWNER, PREFIX};

/// Removes what throwaway servers of processes that are gone have left, under `scratch` and in the places that
/// stand in for it. Called at start.
pub async fn sweep(scratch: &Path) {
    let mut places = vec![scratch.to_owned(), PathBuf::from("/var/tmp"), std::env::temp_dir()];
    places.extend(entries(scratch));
    for room in places.iter().flat_map(|place| entries(place)) {
        let ours = room.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        let by_us = fs::symlink_metadata(&room)
            .is_ok_and(|meta| meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw());
        if !ours || !by_us || owner_lives(&room) {
            continue;
        }
        end_server(&room);
        if let Err(error) = fs::remove_dir_all(&room) {
            tracing::warn!(room = %room.display(), %error, "a throwaway server's folder could not be removed");
        }
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(dir).into_iter().flatten().flatten();
    found.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn owner_lives(room: &Path) -> bool {
    let pid = fs::read_to_string(room.join(OWNER)).ok().and_then(|text| text.trim().parse::<u32>().ok());
    match pid {
        Some(pid) => Path::new(&format!("/proc/{pid}")).exists(),
        // Socket folders have no note; their room's process keeps them young.
        None => fs::metadata(room)
            .and_then(|meta| meta.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age < Duration::from_secs(24 * 3600))),
    }
}

/// The server died with its owner; should it not have, its own note says which process it is.
fn end_server(room: &Path) {
    let note = fs::read_to_string(room.join("data/postmaster.pid")).unwrap_or_default();
    let Some(pid) = note.lines().next().and_then(|line| line.trim().parse::<i32>().ok()) else { return };
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let data = room.join("data");
    let is_it = command.split(|byte| *byte == 0).any(|word| word == data.as_os_str().as_encoded_bytes());
    if let (true, Some(pid)) = (is_it, rustix::process::Pid::from_raw(pid)) {
        let _ = rustix::process::kill_process(pid, Signal::QUIT);
        std::thread::sleep(Duration::from_secs(1));
    }
}
